import { type FieldError, FieldPath, validateDns1123Label } from "../../../apimachinery/index.ts";
import { checkQuantities } from "../../core/v1/resources-validation.ts";
import { checkTolerations } from "../../core/v1/scheduling-validation.ts";
import { checkImmutable, checkName } from "../../field-checks.ts";
import { checkLabels } from "../../meta/v1/labels-validation.ts";
import type { KindLogic, KindTable } from "../../kind-logic.ts";
import { AGE_COLUMN, column, NAME_COLUMN } from "../../table-columns.ts";
import type { RuntimeClass } from "./types.ts";

const runtimeClasses: KindLogic<RuntimeClass> = {
  validate: ({ handler, overhead, scheduling }) => {
    const errors: FieldError[] = [];
    checkName(errors, FieldPath.root("handler"), handler, validateDns1123Label);
    checkQuantities(errors, FieldPath.root("overhead", "podFixed"), overhead?.podFixed);
    const path = FieldPath.root("scheduling");
    checkLabels(errors, path.child("nodeSelector"), scheduling?.nodeSelector);
    checkTolerations(errors, path.child("tolerations"), scheduling?.tolerations);
    return errors;
  },
  validateUpdate: (next, old) => {
    const errors: FieldError[] = [];
    checkImmutable(errors, FieldPath.root("handler"), next.handler, old.handler);
    return errors;
  },
  columns: [
    NAME_COLUMN,
    column("Handler", "Runtime that runs the pods.", ({ handler }) => handler ?? ""),
    AGE_COLUMN,
  ],
};

export const nodeKinds: KindTable = { runtimeclasses: runtimeClasses };
