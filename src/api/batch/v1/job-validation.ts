import {
  type FieldError,
  FieldPath,
  invalidField,
  labelSelectorFrom,
  matchesLabels,
  notSupportedField,
  requiredField,
} from "../../../apimachinery/index.ts";
import { checkPodTemplate } from "../../core/v1/pod-spec-validation.ts";
import {
  checkImmutable,
  checkNonNegative,
  checkOneOf,
  checkOptionalOneOf,
} from "../../field-checks.ts";
import { checkLabelSelector } from "../../meta/v1/labels-validation.ts";
import { CronScheduleError, parseCronSchedule } from "./cron-schedule.ts";
import type { CronJob, CronJobSpec, Job, JobSpec } from "./types.ts";

const SPEC = FieldPath.root("spec");
/** A job's name is the CronJob's with 11 characters of time behind it. */
const MAX_CRON_JOB_NAME = 52;
const MAX_INDEXED_COUNT = 100_000;

const COUNTS = [
  "parallelism",
  "completions",
  "activeDeadlineSeconds",
  "backoffLimit",
  "ttlSecondsAfterFinished",
  "backoffLimitPerIndex",
  "maxFailedIndexes",
] as const;

export function validateJob(job: Job): FieldError[] {
  const errors: FieldError[] = [];
  const spec: Partial<JobSpec> = job.spec ?? {};
  const before = errors.length;
  checkLabelSelector(errors, SPEC.child("selector"), spec.selector);
  const labels = spec.template?.metadata?.labels ?? {};
  if (spec.selector !== undefined && errors.length === before) {
    if (!matchesLabels(labelSelectorFrom(spec.selector), labels)) {
      const at = SPEC.child("template", "metadata", "labels");
      errors.push(invalidField(at, labels, "`selector` does not match template `labels`"));
    }
  }
  checkJobSpec(errors, SPEC, spec);
  return errors;
}

/** What makes a job the job it is cannot change. Its template may, while it is suspended. */
export function validateJobUpdate(next: Job, old: Job): FieldError[] {
  const errors: FieldError[] = [];
  const nextSpec: Partial<JobSpec> = next.spec ?? {};
  const oldSpec: Partial<JobSpec> = old.spec ?? {};
  const isElastic =
    nextSpec.completionMode === "Indexed" && nextSpec.completions === nextSpec.parallelism;
  if (!isElastic) {
    const at = SPEC.child("completions");
    checkImmutable(errors, at, nextSpec.completions, oldSpec.completions);
  }
  const isParked = oldSpec.suspend === true && old.status?.startTime === undefined;
  const fields = [
    "selector",
    ...(isParked ? [] : (["template"] as const)),
    "completionMode",
    "podFailurePolicy",
    "backoffLimitPerIndex",
    "managedBy",
    "successPolicy",
  ] as const;
  for (const field of fields) {
    checkImmutable(errors, SPEC.child(field), nextSpec[field], oldSpec[field]);
  }
  return errors;
}

export function validateCronJob(cronJob: CronJob): FieldError[] {
  const errors: FieldError[] = [];
  const spec: Partial<CronJobSpec> = cronJob.spec ?? {};
  if ((cronJob.metadata.name?.length ?? 0) > MAX_CRON_JOB_NAME) {
    const detail = `must be no more than ${MAX_CRON_JOB_NAME} characters`;
    errors.push(invalidField(FieldPath.root("metadata", "name"), cronJob.metadata.name, detail));
  }
  if (spec.schedule) checkSchedule(errors, SPEC.child("schedule"), spec.schedule);
  else errors.push(requiredField(SPEC.child("schedule")));
  if (spec.timeZone !== undefined) checkTimeZone(errors, SPEC.child("timeZone"), spec.timeZone);
  checkNonNegative(errors, SPEC.child("startingDeadlineSeconds"), spec.startingDeadlineSeconds);
  const policies = ["Allow", "Forbid", "Replace"];
  checkOneOf(errors, SPEC.child("concurrencyPolicy"), spec.concurrencyPolicy, policies);
  const template: Partial<JobSpec> = spec.jobTemplate?.spec ?? {};
  const path = SPEC.child("jobTemplate", "spec");
  checkJobSpec(errors, path, template);
  if (template.manualSelector === true) {
    const supported = ["nil", "false"];
    errors.push(notSupportedField(path.child("manualSelector"), true, supported));
  }
  for (const field of ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"] as const) {
    checkNonNegative(errors, SPEC.child(field), spec[field]);
  }
  return errors;
}

function checkJobSpec(errors: FieldError[], path: FieldPath, spec: Partial<JobSpec>): void {
  for (const field of COUNTS) checkNonNegative(errors, path.child(field), spec[field]);
  const modes = ["Indexed", "NonIndexed"];
  checkOptionalOneOf(errors, path.child("completionMode"), spec.completionMode, modes);
  if (spec.completionMode === "Indexed") {
    if (spec.completions === undefined) {
      const detail = "when completion mode is Indexed";
      errors.push(requiredField(path.child("completions"), detail));
    }
    if ((spec.parallelism ?? 0) > MAX_INDEXED_COUNT) {
      const most = `must be less than or equal to ${MAX_INDEXED_COUNT}`;
      const detail = `${most} when completion mode is Indexed`;
      errors.push(invalidField(path.child("parallelism"), spec.parallelism, detail));
    }
  }
  checkPodTemplate(errors, path.child("template"), spec.template);
  // A pod that always restarts never completes.
  if (spec.template?.spec?.restartPolicy === "Always") {
    const at = path.child("template", "spec", "restartPolicy");
    errors.push(requiredField(at, 'valid values: "OnFailure", "Never"'));
  }
}

function checkSchedule(errors: FieldError[], path: FieldPath, schedule: string): void {
  if (/TZ=/.test(schedule)) {
    const detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
    errors.push(invalidField(path, schedule, detail));
    return;
  }
  try {
    parseCronSchedule(schedule);
  } catch (error) {
    if (!(error instanceof CronScheduleError)) throw error;
    errors.push(invalidField(path, schedule, error.message));
  }
}

function checkTimeZone(errors: FieldError[], path: FieldPath, timeZone: string): void {
  if (timeZone === "") {
    errors.push(invalidField(path, timeZone, "timeZone must be nil or non-empty string"));
  } else if (timeZone === "Local") {
    const detail =
      "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
    errors.push(invalidField(path, timeZone, detail));
  } else if (!isTimeZone(timeZone)) {
    errors.push(invalidField(path, timeZone, `unknown time zone ${timeZone}`));
  }
}

function isTimeZone(timeZone: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}
