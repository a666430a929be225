import { mkdir, open, rm } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import type { Random } from "../lib/index.ts";
import type { Store } from "../store/index.ts";
import { refusal } from "./join-status.ts";

export interface SnapshotStreamOptions {
  readonly store: Pick<Store, "barrier" | "snapshot">;
  readonly snapshotDirectory: string;
  readonly random: Random;
}

/** One at a time: each takes as much disk as the state. */
export interface SnapshotStream {
  /** Copies the state as it is now, and answers with the copy. */
  send(): Promise<Response>;
}

/** How many bytes an answer with a snapshot has; a shorter one was cut off. */
export const SNAPSHOT_BYTES_HEADER = "x-kubun-snapshot-bytes";

const CHUNK_BYTES = 256 * 1024;
const RETRY_AFTER_SECONDS = 5;

export function createSnapshotStream(options: SnapshotStreamOptions): SnapshotStream {
  let busy = false;
  const send = async (): Promise<Response> => {
    if (busy) {
      throw refusal(429, "TooManyRequests", "another snapshot is under way", {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    }
    busy = true;
    const free = (): void => {
      busy = false;
    };
    try {
      const file = await takeSnapshot(options);
      const { size } = await file.stat();
      return new Response(streamOf(file, free), {
        headers: {
          "content-type": "application/octet-stream",
          [SNAPSHOT_BYTES_HEADER]: String(size),
        },
      });
    } catch (error) {
      free();
      throw error;
    }
  };
  return { send };
}

/** A file without a name: whatever becomes of the answer or the process, nothing is left behind. */
async function takeSnapshot(options: SnapshotStreamOptions): Promise<FileHandle> {
  const { store, snapshotDirectory, random } = options;
  await mkdir(snapshotDirectory, { recursive: true, mode: 0o700 });
  const suffix = Buffer.from(random.bytes(8)).toString("hex");
  const path = join(snapshotDirectory, `snapshot-${suffix}.db`);
  try {
    await store.barrier();
    await store.snapshot(path);
    return await open(path, "r");
  } finally {
    await rm(path, { force: true });
  }
}

function streamOf(file: FileHandle, ended: () => void): ReadableStream<Uint8Array> {
  let open = true;
  const end = async (): Promise<void> => {
    // A read that is under way when somebody cancels ends a second time, perhaps in another's turn.
    if (!open) return;
    open = false;
    ended();
    await file.close();
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { bytesRead, buffer } = await file.read(new Uint8Array(CHUNK_BYTES));
          if (bytesRead > 0) return controller.enqueue(buffer.subarray(0, bytesRead));
          await end();
          controller.close();
        } catch (error) {
          await end();
          controller.error(error);
        }
      },
      cancel: end,
    },
    { highWaterMark: 1 },
  );
}
