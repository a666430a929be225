import { closeSync, fdatasyncSync, openSync } from "node:fs";

export interface WritebackRequest {
  readonly path: string;
  /** Becomes 1 when the file is complete. */
  readonly stop: Int32Array;
}

/** As much as comes together in this time is written at once: others wait for it on the disk. */
const INTERVAL_MS = 40;

declare const self: Worker;

if (!Bun.isMainThread) {
  self.addEventListener("message", (event: MessageEvent<WritebackRequest>) => {
    writeBack(event.data);
  });
}

/**
 * Brings a growing file to the medium bit by bit. Synced once at its end, a gigabyte of it would
 * hold up every sync of the log for half a second.
 */
function writeBack({ path, stop }: WritebackRequest): void {
  const descriptor = openSync(path, "r");
  try {
    while (Atomics.wait(stop, 0, 0, INTERVAL_MS) === "timed-out") fdatasyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
