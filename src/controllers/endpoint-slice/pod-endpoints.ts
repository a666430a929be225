import type { Endpoint, EndpointSlicePort, Pod, Service, ServicePort } from "../../api/index.ts";
import { isPodFinished, isPodReady } from "../pod-state.ts";

/** A pod behind a Service, as an endpoint with the ports it serves it on. */
export interface PodEndpoint {
  readonly pod: Pod;
  readonly endpoint: Endpoint;
  readonly ports: readonly EndpointSlicePort[];
}

/** The endpoints a Service has in these pods, by name. Pods without an address have none yet. */
export function podEndpoints(service: Service, pods: readonly Pod[]): readonly PodEndpoint[] {
  return pods
    .filter((pod) => !isPodFinished(pod) && addressOf(pod) !== undefined)
    .map((pod) => ({ pod, endpoint: endpointOf(service, pod), ports: portsOf(service, pod) }))
    .sort((a, b) => ((a.pod.metadata.name ?? "") < (b.pod.metadata.name ?? "") ? -1 : 1));
}

export function addressOf(pod: Pod): string | undefined {
  const address = pod.status?.podIP ?? pod.status?.podIPs?.[0]?.ip;
  return address === "" ? undefined : address;
}

/** Ready for traffic; one on its way out still serves, but nothing new should go to it. */
function endpointOf(service: Service, pod: Pod): Endpoint {
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const serving = isPodReady(pod);
  const published = service.spec?.publishNotReadyAddresses === true;
  const { nodeName, hostname, subdomain } = pod.spec ?? {};
  const named = hostname !== undefined && subdomain === service.metadata.name;
  return {
    addresses: [addressOf(pod) ?? ""],
    conditions: { ready: published || (serving && !terminating), serving, terminating },
    ...(named ? { hostname } : {}),
    ...(nodeName === undefined ? {} : { nodeName }),
    targetRef: podReference(pod),
  };
}

export function podReference(pod: Pod) {
  const { namespace = "", name = "", uid = "" } = pod.metadata;
  return { kind: "Pod", namespace, name, uid };
}

function portsOf(service: Service, pod: Pod): readonly EndpointSlicePort[] {
  return (service.spec?.ports ?? []).flatMap((port) => {
    const target = targetPort(port, pod);
    if (target === undefined) return [];
    const { name = "", protocol = "TCP", appProtocol } = port;
    return { name, protocol, port: target, ...(appProtocol === undefined ? {} : { appProtocol }) };
  });
}

/** A number stands for itself; a name is looked up in the pod, and may differ from pod to pod. */
function targetPort(port: ServicePort, pod: Pod): number | undefined {
  const { targetPort: target = 0, protocol = "TCP" } = port;
  if (typeof target === "number") return target === 0 ? port.port : target;
  const sidecars = (pod.spec?.initContainers ?? []).filter(
    ({ restartPolicy }) => restartPolicy === "Always",
  );
  for (const container of [...(pod.spec?.containers ?? []), ...sidecars]) {
    const found = container.ports?.find(
      (one) => one.name === target && (one.protocol ?? "TCP") === protocol,
    );
    if (found !== undefined) return found.containerPort;
  }
  return undefined;
}

/** Equal for equal sets of ports: endpoints share a slice only then. */
export function portsKey(ports: readonly EndpointSlicePort[] | undefined): string {
  return (ports ?? [])
    .map(({ name = "", protocol = "", port, appProtocol = "" }) =>
      [name, protocol, port, appProtocol].join("/"),
    )
    .sort()
    .join(",");
}
