import { humanDuration, parseRfc3339 } from "../../../apimachinery/index.ts";
import { orNone, selectorText } from "../../cell-text.ts";
import { templateColumns } from "../../core/v1/pod-template-columns.ts";
import type { TableColumn } from "../../kind-logic.ts";
import {
  AGE_COLUMN,
  ageText,
  column,
  NAME_COLUMN,
  NONE,
  typed,
  wide,
} from "../../table-columns.ts";
import type { CronJob, Job } from "./types.ts";

export const jobColumns: readonly TableColumn<Job>[] = [
  NAME_COLUMN,
  column("Status", "How the job stands.", statusText),
  column("Completions", "Pods that succeeded, of all wanted.", completionsText),
  column("Duration", "How long it runs, or ran.", durationText),
  AGE_COLUMN,
  ...templateColumns<Job>(({ spec }) => spec?.template),
  wide(
    column("Selector", "Labels of the pods it owns.", ({ spec }) => selectorText(spec?.selector)),
  ),
];

export const cronJobColumns: readonly TableColumn<CronJob>[] = [
  NAME_COLUMN,
  column("Schedule", "When jobs are made, in cron's notation.", ({ spec }) => spec?.schedule ?? ""),
  column("Timezone", "Zone the schedule is meant in.", ({ spec }) => orNone(spec?.timeZone)),
  typed(
    "boolean",
    column("Suspend", "Whether no new jobs are made.", ({ spec }) =>
      spec?.suspend === true ? "True" : "False",
    ),
  ),
  typed(
    "integer",
    column("Active", "Jobs that run now.", ({ status }) => status?.active?.length ?? 0),
  ),
  column("Last Schedule", "How long ago a job was made.", ({ status }, now) =>
    status?.lastScheduleTime === undefined ? NONE : ageText(status.lastScheduleTime, now),
  ),
  AGE_COLUMN,
  ...templateColumns<CronJob>(({ spec }) => spec?.jobTemplate?.spec?.template),
  wide(
    column("Selector", "Labels of the pods its jobs own.", ({ spec }) =>
      selectorText(spec?.jobTemplate?.spec?.selector),
    ),
  ),
];

/** In this order: what ended a job outweighs what is being done to it. */
const FINAL = ["Complete", "Failed"] as const;
const PASSING = ["Suspended", "FailureTarget", "SuccessCriteriaMet"] as const;

function statusText(job: Job): string {
  const holds = (type: string) =>
    job.status?.conditions?.some((each) => each.type === type && each.status === "True") === true;
  const final = FINAL.find(holds);
  if (final !== undefined) return final;
  if (job.metadata.deletionTimestamp !== undefined) return "Terminating";
  return PASSING.find(holds) ?? "Running";
}

function completionsText({ spec, status }: Job): string {
  const succeeded = status?.succeeded ?? 0;
  if (spec?.completions !== undefined) return `${succeeded}/${spec.completions}`;
  const parallelism = spec?.parallelism ?? 0;
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

function durationText({ status }: Job, now: number): string {
  if (status?.startTime === undefined) return "";
  const end = status.completionTime === undefined ? now : parseRfc3339(status.completionTime);
  return humanDuration(end - parseRfc3339(status.startTime));
}
