import type { KindLogic, KindTable } from "../../kind-logic.ts";
import { parseQuantity } from "../../../apimachinery/index.ts";
import { column, NAME_COLUMN } from "../../table-columns.ts";
import type { NodeMetrics, PodMetrics } from "./types.ts";

const nodes: KindLogic<NodeMetrics> = {
  columns: [
    NAME_COLUMN,
    column("CPU", "Processors in use.", ({ usage }) => amount(usage, "cpu")),
    column("Memory", "Memory in use.", ({ usage }) => amount(usage, "memory")),
    column("Window", "How long was measured.", ({ window }) => window ?? ""),
  ],
};

const pods: KindLogic<PodMetrics> = {
  columns: [
    NAME_COLUMN,
    column("CPU", "Processors in use.", (pod) => sumOf(pod, "cpu")),
    column("Memory", "Memory in use.", (pod) => sumOf(pod, "memory")),
    column("Window", "How long was measured.", ({ window }) => window ?? ""),
  ],
};

function sumOf({ containers }: Partial<PodMetrics>, resource: string): string {
  return (containers ?? [])
    .map(({ usage }) => parseQuantity(amount(usage, resource)))
    .reduce((sum, each) => sum.add(each), parseQuantity("0"))
    .toString();
}

/** An object that was not checked may lack what it has to have. */
function amount(usage: Readonly<Record<string, string>> | undefined, resource: string): string {
  return usage?.[resource] ?? "0";
}

export const metricsKinds: KindTable = { nodes, pods };
