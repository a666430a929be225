import { validatePriorityClass, validatePriorityClassUpdate } from "./priority-class-validation.ts";
import type { KindLogic, KindTable } from "../../kind-logic.ts";
import { AGE_COLUMN, column, NAME_COLUMN, typed } from "../../table-columns.ts";
import type { PriorityClass } from "./types.ts";

const priorityClasses: KindLogic<PriorityClass> = {
  defaults: (priorityClass) => {
    priorityClass.preemptionPolicy ??= "PreemptLowerPriority";
  },
  validate: validatePriorityClass,
  validateUpdate: validatePriorityClassUpdate,
  columns: [
    NAME_COLUMN,
    typed(
      "integer",
      column("Value", "The priority.", ({ value }) => value ?? 0),
    ),
    typed(
      "boolean",
      column(
        "Global-Default",
        "Whether pods without a class get it.",
        ({ globalDefault }) => globalDefault ?? false,
      ),
    ),
    AGE_COLUMN,
    column(
      "PreemptionPolicy",
      "Whether others are evicted for it.",
      ({ preemptionPolicy }) => preemptionPolicy ?? "",
    ),
  ],
};

export const schedulingKinds: KindTable = { priorityclasses: priorityClasses };
