import { DROPPED_SUFFIX } from "../worker/cri-log.ts";
import { readSmallFile } from "../worker-process.ts";

/** What a container said beyond its log rate; `undefined` for nothing. Its worker writes it down. */
export function droppedLogBytes(logPath: string): number | undefined {
  const text = readSmallFile(`${logPath}${DROPPED_SUFFIX}`).trim();
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
