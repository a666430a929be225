import { DROPPED_SUFFIX } from "../worker/cri-log.ts";
import { readSmallFile } from "../worker-process.ts";

/** What a container said beyond its log rate, as its worker wrote it down; `undefined`: nothing. */
export function droppedLogBytes(logPath: string): number | undefined {
  const text = readSmallFile(`${logPath}${DROPPED_SUFFIX}`).trim();
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
