import type { Service } from "../api/index.ts";

/** Variables of one environment that come from Services; more are left out. */
export const MAX_SERVICE_VARIABLES = 5000;

/**
 * `NAME_SERVICE_HOST`, `NAME_SERVICE_PORT` and Docker's link variables for each Service with an
 * address. Without `links` only the API server's Service is told.
 */
export function serviceEnvironment(
  services: readonly Service[],
  options: { readonly namespace: string; readonly links: boolean },
): Map<string, string> {
  const result = new Map<string, string>();
  for (const service of services) {
    const { name = "", namespace } = service.metadata;
    const api = namespace === "default" && name === "kubernetes";
    const own = options.links && namespace === options.namespace;
    const ip = service.spec?.clusterIP ?? "";
    if ((!api && !own) || ip === "" || ip === "None") continue;
    if (result.size >= MAX_SERVICE_VARIABLES) break;
    addService(result, name.toUpperCase().replaceAll("-", "_"), ip, service);
  }
  return result;
}

function addService(
  result: Map<string, string>,
  prefix: string,
  ip: string,
  service: Service,
): void {
  const ports = service.spec?.ports ?? [];
  result.set(`${prefix}_SERVICE_HOST`, ip);
  const [first] = ports;
  if (first === undefined) return;
  result.set(`${prefix}_SERVICE_PORT`, `${first.port}`);
  for (const { name = "", port } of ports) {
    const suffix = name.toUpperCase().replaceAll("-", "_");
    if (suffix !== "") result.set(`${prefix}_SERVICE_PORT_${suffix}`, `${port}`);
  }
  const url = (protocol: string, port: number) => `${protocol.toLowerCase()}://${ip}:${port}`;
  result.set(`${prefix}_PORT`, url(first.protocol ?? "TCP", first.port));
  for (const { port, protocol = "TCP" } of ports) {
    const base = `${prefix}_PORT_${port}_${protocol.toUpperCase()}`;
    result.set(base, url(protocol, port));
    result.set(`${base}_PROTO`, protocol.toLowerCase());
    result.set(`${base}_PORT`, `${port}`);
    result.set(`${base}_ADDR`, ip);
  }
}
