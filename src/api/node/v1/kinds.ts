import type { KindLogic, KindTable } from "../../kind-logic.ts";
import { AGE_COLUMN, column, NAME_COLUMN } from "../../table-columns.ts";
import type { RuntimeClass } from "./types.ts";

const runtimeClasses: KindLogic<RuntimeClass> = {
  columns: [
    NAME_COLUMN,
    column("Handler", "Runtime that runs the pods.", ({ handler }) => handler ?? ""),
    AGE_COLUMN,
  ],
};

export const nodeKinds: KindTable = { runtimeclasses: runtimeClasses };
