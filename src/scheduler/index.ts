export { DEFAULT_SCHEDULER_NAME, startScheduler } from "./scheduler.ts";
export type { SchedulerOptions } from "./scheduler.ts";
