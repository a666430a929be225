import { labelsText, orNone } from "../../cell-text.ts";
import type { TableColumn } from "../../kind-logic.ts";
import { AGE_COLUMN, column, NAME_COLUMN, NONE, UNKNOWN, wide } from "../../table-columns.ts";
import type { Service } from "./types.ts";

export const serviceColumns: readonly TableColumn<Service>[] = [
  NAME_COLUMN,
  column("Type", "How far the Service can be reached.", (service) => service.spec?.type ?? ""),
  column("Cluster-IP", "Address inside the cluster.", ({ spec }) =>
    orNone(spec?.clusterIPs?.[0] ?? spec?.clusterIP),
  ),
  column("External-IP", "Address outside the cluster.", externalIpText),
  column("Port(s)", "Ports, with their node ports and protocols.", portsText),
  AGE_COLUMN,
  wide(
    column("Selector", "Labels of the pods behind the Service.", ({ spec }) =>
      labelsText(spec?.selector),
    ),
  ),
];

function externalIpText({ spec, status }: Service): string {
  const external = spec?.externalIPs ?? [];
  switch (spec?.type ?? "") {
    case "ClusterIP":
    case "NodePort":
      return orNone(external.join(","));
    case "LoadBalancer": {
      const balanced = balancerAddresses(status?.loadBalancer?.ingress);
      const all = [...balanced, ...external];
      return all.length === 0 ? "<pending>" : all.join(",");
    }
    case "ExternalName":
      return spec?.externalName ?? "";
    default:
      return UNKNOWN;
  }
}

/** Addresses a load balancer answers on, each once and in order. */
export function balancerAddresses(
  ingress: readonly { readonly ip?: string; readonly hostname?: string }[] | undefined,
): string[] {
  const addresses = (ingress ?? []).map(({ ip, hostname }) => ip || hostname || "");
  return [...new Set(addresses.filter((address) => address !== ""))].sort();
}

function portsText({ spec }: Service): string {
  const ports = (spec?.ports ?? []).map(({ port, nodePort, protocol }) =>
    nodePort ? `${port}:${nodePort}/${protocol}` : `${port}/${protocol}`,
  );
  return ports.length === 0 ? NONE : ports.join(",");
}
