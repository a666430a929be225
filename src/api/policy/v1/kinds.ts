import type { KindLogic, KindTable } from "../../kind-logic.ts";
import { AGE_COLUMN, column, NAME_COLUMN, typed } from "../../table-columns.ts";
import type { PodDisruptionBudget } from "./types.ts";

const NOT_SET = "N/A";

const podDisruptionBudgets: KindLogic<PodDisruptionBudget> = {
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
