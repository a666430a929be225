import { orUnset, shortList } from "../../cell-text.ts";
import type { TableColumn } from "../../kind-logic.ts";
import { AGE_COLUMN, column, NAME_COLUMN } from "../../table-columns.ts";
import type { EndpointSlice } from "./types.ts";

export const endpointSliceColumns: readonly TableColumn<EndpointSlice>[] = [
  NAME_COLUMN,
  column("AddressType", "Kind of addresses.", ({ addressType }) => addressType ?? ""),
  column("Ports", "Ports behind the Service.", ({ ports }) =>
    orUnset(shortList((ports ?? []).map(({ port, name }) => String(port ?? (name || "*"))))),
  ),
  column("Endpoints", "Addresses behind the Service.", ({ endpoints }) =>
    orUnset(shortList((endpoints ?? []).flatMap(({ addresses }) => addresses ?? []))),
  ),
  AGE_COLUMN,
];
