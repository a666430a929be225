import type { KindLogic, KindTable } from "../../kind-logic.ts";
import { AGE_COLUMN, column, NAME_COLUMN } from "../../table-columns.ts";
import type { Lease } from "./types.ts";

const leases: KindLogic<Lease> = {
  columns: [
    NAME_COLUMN,
    column("Holder", "Who holds the lease.", ({ spec }) => spec?.holderIdentity ?? ""),
    AGE_COLUMN,
  ],
};

export const coordinationKinds: KindTable = { leases };
