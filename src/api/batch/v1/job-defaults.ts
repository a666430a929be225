import { defaultPodTemplate } from "../../core/v1/pod-defaults.ts";
import type { CronJob, CronJobSpec, Job, JobSpec } from "./types.ts";

const BACKOFF_LIMIT = 6;
/** With a limit per index, the job as a whole is not limited. */
const UNLIMITED = 2_147_483_647;

export function defaultJob(job: Job): void {
  const spec: Partial<JobSpec> = (job.spec ??= {} as JobSpec);
  // With parallelism alone, any success of any pod completes the job: a work queue.
  if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1;
  spec.parallelism ??= 1;
  spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? BACKOFF_LIMIT : UNLIMITED;
  spec.completionMode ??= "NonIndexed";
  spec.suspend ??= false;
  spec.manualSelector ??= false;
  spec.podReplacementPolicy ??=
    spec.podFailurePolicy === undefined ? "TerminatingOrFailed" : "Failed";
  defaultJobSpec(spec);
  const labels = spec.template?.metadata?.labels ?? {};
  if (Object.keys(job.metadata.labels ?? {}).length === 0 && Object.keys(labels).length > 0) {
    job.metadata.labels = { ...labels };
  }
}

/** The job of a CronJob keeps its gaps: they are filled when a Job is made of it. */
export function defaultCronJob(cronJob: CronJob): void {
  const spec: Partial<CronJobSpec> = (cronJob.spec ??= {} as CronJobSpec);
  spec.concurrencyPolicy ||= "Allow";
  spec.suspend ??= false;
  spec.successfulJobsHistoryLimit ??= 3;
  spec.failedJobsHistoryLimit ??= 1;
  const jobTemplate = (spec.jobTemplate ??= {});
  defaultJobSpec((jobTemplate.spec ??= {} as JobSpec));
}

function defaultJobSpec(spec: Partial<JobSpec>): void {
  for (const rule of spec.podFailurePolicy?.rules ?? []) {
    for (const pattern of rule.onPodConditions ?? []) pattern.status ||= "True";
  }
  defaultPodTemplate((spec.template ??= {}));
}
