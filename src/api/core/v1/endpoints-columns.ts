import { hostPort, orNone, shortList } from "../../cell-text.ts";
import type { TableColumn } from "../../kind-logic.ts";
import { AGE_COLUMN, column, NAME_COLUMN } from "../../table-columns.ts";
import type { Endpoints, EndpointSubset } from "./types.ts";

export const endpointsColumns: readonly TableColumn<Endpoints>[] = [
  NAME_COLUMN,
  column("Endpoints", "Addresses and ports behind the Service.", (endpoints) =>
    orNone(shortList((endpoints.subsets ?? []).flatMap(subsetTexts))),
  ),
  AGE_COLUMN,
];

function subsetTexts({ addresses, ports }: EndpointSubset): string[] {
  const ips = (addresses ?? []).map(({ ip }) => ip);
  // A headless Service may have no ports.
  if ((ports?.length ?? 0) === 0) return ips;
  return (ports ?? []).flatMap(({ port }) => ips.map((ip) => hostPort(ip, port)));
}
