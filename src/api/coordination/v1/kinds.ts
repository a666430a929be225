import { type FieldError, FieldPath } from "../../../apimachinery/index.ts";
import { checkNonNegative, checkPositive } from "../../field-checks.ts";
import type { KindLogic, KindTable } from "../../kind-logic.ts";
import { AGE_COLUMN, column, NAME_COLUMN } from "../../table-columns.ts";
import type { Lease } from "./types.ts";

const SPEC = FieldPath.root("spec");

const leases: KindLogic<Lease> = {
  validate: ({ spec }) => {
    const errors: FieldError[] = [];
    checkPositive(errors, SPEC.child("leaseDurationSeconds"), spec?.leaseDurationSeconds);
    checkNonNegative(errors, SPEC.child("leaseTransitions"), spec?.leaseTransitions);
    return errors;
  },
  columns: [
    NAME_COLUMN,
    column("Holder", "Who holds the lease.", ({ spec }) => spec?.holderIdentity ?? ""),
    AGE_COLUMN,
  ],
};

export const coordinationKinds: KindTable = { leases };
