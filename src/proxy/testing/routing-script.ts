import type { EndpointSlice, Ingress, IngressClass, Service } from "../../api/index.ts";

/** Objects for tests, in a few words each. */
export function service(
  key: string,
  ports: Service["spec"] extends infer S ? NonNullable<S> : never,
): Service {
  const [namespace = "", name = ""] = key.split("/");
  return { apiVersion: "v1", kind: "Service", metadata: { namespace, name }, spec: ports };
}

export type EndpointState = "ready" | "not-ready" | "leaving";

/** A slice of one port; `addresses` as `10.0.0.1` → state. */
export function slice(
  key: string,
  port: { name?: string; port: number },
  addresses: Readonly<Record<string, EndpointState>>,
): EndpointSlice {
  const [namespace = "", name = ""] = key.split("/");
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      namespace,
      name: `${name}-slice`,
      labels: { "kubernetes.io/service-name": name },
    },
    addressType: "IPv4",
    ports: [{ ...port, protocol: "TCP" }],
    endpoints: Object.entries(addresses).map(([address, state]) => ({
      addresses: [address],
      conditions: {
        ready: state === "ready",
        serving: state !== "not-ready",
        terminating: state === "leaving",
      },
    })),
  };
}

export function ingressClass(name: string, options: { controller: string; isDefault: boolean }) {
  const annotations = options.isDefault
    ? { "ingressclass.kubernetes.io/is-default-class": "true" }
    : {};
  const found: IngressClass = {
    metadata: { name, annotations },
    spec: { controller: options.controller },
  };
  return found;
}

/** `Prefix example.com/path service:port`, one rule a line; `default service:port` too. */
export function ingress(
  key: string,
  rules: readonly string[],
  options: { className?: string; annotation?: string; created?: string } = {},
): Ingress {
  const [namespace = "", name = ""] = key.split("/");
  const spec: NonNullable<Ingress["spec"]> = { rules: [] };
  if (options.className !== undefined) spec.ingressClassName = options.className;
  for (const rule of rules) {
    const [type = "", place = "", target = ""] = rule.split(" ");
    const [serviceName = "", port = ""] = (type === "default" ? place : target).split(":");
    const number = Number(port);
    const backend = {
      service: {
        name: serviceName,
        port: Number.isNaN(number) ? { name: port } : { number },
      },
    };
    if (type === "default") {
      spec.defaultBackend = backend;
      continue;
    }
    const slash = place.indexOf("/");
    const host = place.slice(0, slash);
    const http = { paths: [{ path: place.slice(slash), pathType: type, backend }] };
    spec.rules?.push(host === "" ? { http } : { host, http });
  }
  const annotations =
    options.annotation === undefined ? {} : { "kubernetes.io/ingress.class": options.annotation };
  const creationTimestamp = options.created ?? "2026-01-01T00:00:00Z";
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: { namespace, name, annotations, creationTimestamp },
    spec,
  };
}
