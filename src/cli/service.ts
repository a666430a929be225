import type { Ingress, Service } from "../api/index.ts";
import { INGRESSES, isNotFound, SERVICES } from "../client/index.ts";
import type { ClusterConnection } from "./cluster-connection.ts";
import { CommandError } from "./usage-error.ts";

/** One way to reach a Service from this machine. */
export interface ServiceRoute {
  readonly via: "LoadBalancer" | "NodePort" | "Ingress" | "ClusterIP";
  readonly url: string;
  /** Sent as the Host header, when an Ingress rule asks for one. */
  readonly host?: string;
}

export interface ServiceQuery {
  readonly name: string;
  readonly namespace: string;
  /** Whether something listens there. */
  readonly canConnect: (hostname: string, port: number) => Promise<boolean>;
}

/** The ways that work now, the best first. Throws a CommandError when there is none. */
export async function findServiceRoutes(
  cluster: ClusterConnection,
  query: ServiceQuery,
): Promise<ServiceRoute[]> {
  const { name, namespace } = query;
  const [service, ingresses] = await Promise.all([
    getService(cluster, query),
    cluster.client.resource(INGRESSES, namespace).list(),
  ]);
  const candidates = listServiceRoutes(service, ingresses.items, cluster.ingress);
  const answers = await Promise.all(
    candidates.map(async (route) => {
      const { hostname, port } = new URL(route.url);
      return (await query.canConnect(hostname, Number(port === "" ? 80 : port))) ? [route] : [];
    }),
  );
  const routes = answers.flat();
  if (routes.length > 0) return routes;
  if (candidates.length > 0) {
    const tried = candidates.map((route) => route.url).join(", ");
    throw new CommandError(
      `nothing listens for service ${namespace}/${name} at ${tried}: has it a ready pod? ` +
        `see: kubectl -n ${namespace} get endpointslices -l kubernetes.io/service-name=${name}`,
    );
  }
  throw new CommandError(
    `service ${namespace}/${name} cannot be reached from here: it has no NodePort, no Ingress ` +
      `route and no ClusterIP; try: kubectl -n ${namespace} patch service ${name} ` +
      `-p '{"spec":{"type":"NodePort"}}'`,
  );
}

async function getService(cluster: ClusterConnection, query: ServiceQuery): Promise<Service> {
  try {
    return await cluster.client.resource(SERVICES, query.namespace).get(query.name);
  } catch (error) {
    if (!isNotFound(error)) throw error;
    throw new CommandError(
      `there is no service ${JSON.stringify(query.name)} in namespace ${query.namespace}; ` +
        "kubectl get services -A lists all",
    );
  }
}

/** Every way the objects promise, in order of preference; whether it works is not asked here. */
export function listServiceRoutes(
  service: Service,
  ingresses: readonly Ingress[],
  ingressUrl: string,
): ServiceRoute[] {
  const ports = (service.spec?.ports ?? []).filter((port) => (port.protocol ?? "TCP") === "TCP");
  const machine = new URL(ingressUrl).hostname;
  const nodePorts = ports.flatMap((port): ServiceRoute[] =>
    port.nodePort === undefined
      ? []
      : [{ via: "NodePort", url: `http://${machine}:${port.nodePort}` }],
  );
  const balanced = (service.status?.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname }) =>
    ports.map(({ port }): ServiceRoute => {
      return { via: "LoadBalancer", url: `http://${ip ?? hostname}:${port}` };
    }),
  );
  const clusterIp = service.spec?.clusterIP;
  const clusterPorts = ports.flatMap((port): ServiceRoute[] =>
    clusterIp === undefined || clusterIp === "None" || clusterIp === ""
      ? []
      : [{ via: "ClusterIP", url: `http://${clusterIp}:${port.port}` }],
  );
  const ruled = ingressRoutes(service, ingresses, ingressUrl);
  return [...balanced, ...nodePorts, ...ruled, ...clusterPorts];
}

function ingressRoutes(
  service: Service,
  ingresses: readonly Ingress[],
  ingressUrl: string,
): ServiceRoute[] {
  const name = service.metadata.name;
  return ingresses.flatMap((ingress) => {
    const fallback = ingress.spec?.defaultBackend?.service?.name === name;
    const ruled = (ingress.spec?.rules ?? []).flatMap((rule) =>
      (rule.http?.paths ?? [])
        .filter((path) => path.backend.service?.name === name)
        .map((path): ServiceRoute => {
          const url = `${ingressUrl}${path.path === "/" ? "" : (path.path ?? "")}`;
          return { via: "Ingress", url, ...(rule.host === undefined ? {} : { host: rule.host }) };
        }),
    );
    return fallback ? [...ruled, { via: "Ingress" as const, url: ingressUrl }] : ruled;
  });
}

/** What `kubun service NAME` prints. */
export function describeServiceRoutes(routes: readonly ServiceRoute[]): string {
  return routes
    .map((route) => {
      const host = route.host === undefined ? "" : `  (Host: ${route.host})`;
      return `${route.via.padEnd(12)}  ${route.url}${host}\n`;
    })
    .join("");
}
