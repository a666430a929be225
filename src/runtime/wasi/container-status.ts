import type { ContainerStatus } from "../runtime.ts";
import type { ContainerRecord } from "./state-directory.ts";

/** What the runtime tells of a container. */
export function statusOf(record: ContainerRecord): ContainerStatus {
  const { id, sandboxId, podUid, config, state, createdAt, imageRef, worker } = record;
  const { startedAt, finishedAt, exitCode, reason, message } = record;
  return {
    id,
    sandboxId,
    podUid,
    state,
    createdAt,
    imageRef,
    name: config.name,
    attempt: config.attempt,
    image: config.image,
    logPath: config.logPath,
    annotations: config.annotations ?? {},
    warnings: record.warnings ?? [],
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(finishedAt === undefined ? {} : { finishedAt }),
    ...(exitCode === undefined ? {} : { exitCode }),
    ...(reason === undefined ? {} : { reason }),
    ...(message === undefined ? {} : { message }),
    ...(worker === undefined || state === "exited" ? {} : { pid: worker.identity.pid }),
  };
}
