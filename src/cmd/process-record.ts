import { rmSync } from "node:fs";
import { processStartTime } from "../os/index.ts";
import { writeServerRecord } from "./data-directory.ts";
import type { ServerRecord } from "./data-directory.ts";
import type { Ground } from "./ground.ts";
import { VERSION } from "./version.ts";

/** Tells other commands on this machine which process has the data directory, and its addresses. */
export function recordProcess(
  { directory, clock }: Pick<Ground, "directory" | "clock">,
  where: Pick<ServerRecord, "server" | "ingress">,
): ServerRecord {
  const record: ServerRecord = {
    pid: process.pid,
    startTime: processStartTime(process.pid) ?? "",
    version: VERSION,
    ...where,
    startedAt: new Date(clock.now()).toISOString(),
  };
  writeServerRecord(directory, record);
  return record;
}

/** At an orderly end. */
export function removeRecord({ directory }: Pick<Ground, "directory">): void {
  rmSync(directory.serverRecord, { force: true });
}
