import { validateEndpointSlice, validateEndpointSliceUpdate } from "./endpoint-slice-validation.ts";
import type { KindLogic, KindTable } from "../../kind-logic.ts";
import { endpointSliceColumns } from "./endpoint-slice-columns.ts";
import type { EndpointSlice } from "./types.ts";

const endpointSlices: KindLogic<EndpointSlice> = {
  defaults: ({ ports }) => {
    for (const port of ports ?? []) {
      port.name ??= "";
      port.protocol ??= "TCP";
    }
  },
  validate: validateEndpointSlice,
  validateUpdate: validateEndpointSliceUpdate,
  columns: endpointSliceColumns,
};

export const discoveryKinds: KindTable = { endpointslices: endpointSlices };
