import type { TableColumn } from "../../kind-logic.ts";
import { AGE_COLUMN, column, NAME_COLUMN, NONE, UNKNOWN, UNSET } from "../../table-columns.ts";
import type {
  HorizontalPodAutoscaler,
  MetricSpec,
  MetricStatus,
  MetricTarget,
  MetricValueStatus,
} from "./types.ts";

const MAX_SHOWN = 2;

export const horizontalPodAutoscalerColumns: readonly TableColumn<HorizontalPodAutoscaler>[] = [
  NAME_COLUMN,
  column(
    "Reference",
    "What is scaled.",
    ({ spec }) => `${spec?.scaleTargetRef?.kind ?? ""}/${spec?.scaleTargetRef?.name ?? ""}`,
  ),
  column("Targets", "Measured and wanted values.", metricsText),
  column("MinPods", "Fewest pods.", ({ spec }) => String(spec?.minReplicas ?? UNSET)),
  column("MaxPods", "Most pods.", ({ spec }) => spec?.maxReplicas ?? 0),
  column("Replicas", "Pods there are.", ({ status }) => status?.currentReplicas ?? 0),
  AGE_COLUMN,
];

function metricsText({ spec, status }: HorizontalPodAutoscaler): string {
  const metrics = spec?.metrics ?? [];
  if (metrics.length === 0) return NONE;
  const texts = metrics.map((metric, index) => metricText(metric, status?.currentMetrics?.[index]));
  const shown = texts.slice(0, MAX_SHOWN).join(", ");
  return texts.length > MAX_SHOWN ? `${shown} + ${texts.length - MAX_SHOWN} more...` : shown;
}

function metricText(metric: MetricSpec, measured: MetricStatus | undefined): string {
  switch (metric.type) {
    case "External":
      return valueText(metric.external?.target, measured?.external?.current);
    case "Object":
      return valueText(metric.object?.target, measured?.object?.current);
    case "Pods": {
      const current = measured?.pods?.current.averageValue ?? UNKNOWN;
      return `${current}/${metric.pods?.target.averageValue ?? ""}`;
    }
    case "Resource": {
      const { name, target } = metric.resource ?? { name: "" };
      return `${name}: ${resourceText(target, measured?.resource?.current)}`;
    }
    case "ContainerResource": {
      const { name, target } = metric.containerResource ?? { name: "" };
      return `${name}: ${resourceText(target, measured?.containerResource?.current)}`;
    }
    default:
      return "<unknown type>";
  }
}

function valueText(
  target: MetricTarget | undefined,
  current: MetricValueStatus | undefined,
): string {
  return target?.averageValue === undefined
    ? `${current?.value ?? UNKNOWN}/${target?.value ?? ""}`
    : `${current?.averageValue ?? UNKNOWN}/${target.averageValue} (avg)`;
}

function resourceText(
  target: MetricTarget | undefined,
  current: MetricValueStatus | undefined,
): string {
  if (target?.averageValue !== undefined) {
    return `${current?.averageValue ?? UNKNOWN}/${target.averageValue}`;
  }
  const used = current?.averageUtilization;
  const wanted = target?.averageUtilization;
  const wantedText = wanted === undefined ? "<auto>" : `${wanted}%`;
  return `${used === undefined ? UNKNOWN : `${used}%`}/${wantedText}`;
}
