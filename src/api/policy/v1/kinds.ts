import { type FieldError, FieldPath, invalidField } from "../../../apimachinery/index.ts";
import { checkAtMostAll, checkIntOrPercent, checkOptionalOneOf } from "../../field-checks.ts";
import { checkLabelSelector } from "../../meta/v1/labels-validation.ts";
import type { KindLogic, KindTable } from "../../kind-logic.ts";
import { AGE_COLUMN, column, NAME_COLUMN, typed } from "../../table-columns.ts";
import type { PodDisruptionBudget } from "./types.ts";

const NOT_SET = "N/A";

const SPEC = FieldPath.root("spec");

const podDisruptionBudgets: KindLogic<PodDisruptionBudget> = {
  validate: ({ spec = {} }) => {
    const errors: FieldError[] = [];
    if (spec.minAvailable !== undefined && spec.maxUnavailable !== undefined) {
      const detail = "minAvailable and maxUnavailable cannot be both set";
      errors.push(invalidField(SPEC, spec, detail));
    }
    for (const field of ["minAvailable", "maxUnavailable"] as const) {
      checkIntOrPercent(errors, SPEC.child(field), spec[field]);
      checkAtMostAll(errors, SPEC.child(field), spec[field]);
    }
    checkLabelSelector(errors, SPEC.child("selector"), spec.selector);
    const policy = spec.unhealthyPodEvictionPolicy;
    const policies = ["AlwaysAllow", "IfHealthyBudget"];
    checkOptionalOneOf(errors, SPEC.child("unhealthyPodEvictionPolicy"), policy, policies);
    return errors;
  },
  columns: [
    NAME_COLUMN,
    column("Min Available", "Pods that must stay.", ({ spec }) =>
      String(spec?.minAvailable ?? NOT_SET),
    ),
    column("Max Unavailable", "Pods that may be missing.", ({ spec }) =>
      String(spec?.maxUnavailable ?? NOT_SET),
    ),
    typed(
      "integer",
      column(
        "Allowed Disruptions",
        "Pods that may be evicted now.",
        ({ status }) => status?.disruptionsAllowed ?? 0,
      ),
    ),
    AGE_COLUMN,
  ],
};

export const policyKinds: KindTable = { poddisruptionbudgets: podDisruptionBudgets };
