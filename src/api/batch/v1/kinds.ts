import { validateCronJob, validateJob, validateJobUpdate } from "./job-validation.ts";
import type { KindLogic, KindTable } from "../../kind-logic.ts";
import { cronJobColumns, jobColumns } from "./job-columns.ts";
import { defaultCronJob, defaultJob } from "./job-defaults.ts";
import type { CronJob, Job } from "./types.ts";

const jobs: KindLogic<Job> = {
  defaults: defaultJob,
  validate: validateJob,
  validateUpdate: validateJobUpdate,
  columns: jobColumns,
  selectableFields: ({ status }) => ({ "status.successful": String(status?.succeeded ?? 0) }),
};

const cronJobs: KindLogic<CronJob> = {
  defaults: defaultCronJob,
  validate: validateCronJob,
  columns: cronJobColumns,
};

export const batchKinds: KindTable = { jobs, cronjobs: cronJobs };
