import { Buffer } from "node:buffer";
import type { LogEntry, LogIndex } from "../../raft/index.ts";
import type { DiskFile } from "../disk.ts";
import { decodeFrame } from "./log-frame.ts";
import type { Extent, LogMap } from "./log-map.ts";
import type { Segment } from "./log-recovery.ts";
import { LogDamagedError } from "./log-types.ts";
import type { SegmentFiles } from "./segment-files.ts";

/** Extents looked up at a time; a read that wants more looks again. */
const EXTENTS_A_STEP = 64;

/** Entries from an index on: at least one, then while they fit into `maxBytes` of data. */
export async function readEntries(
  map: LogMap<Segment>,
  files: SegmentFiles,
  wanted: { readonly from: LogIndex; readonly maxBytes: number },
): Promise<LogEntry[]> {
  const result: LogEntry[] = [];
  // What is appended or replaced meanwhile is not looked at: the caller asked before.
  const until = map.lastIndex;
  let { from } = wanted;
  let bytes = 0;
  let open: { readonly name: string; readonly file: DiskFile } | undefined;
  try {
    while (from <= until) {
      for (const extent of map.extentsFrom(from, EXTENTS_A_STEP)) {
        const { name } = extent.segment;
        if (open?.name !== name) {
          await open?.file.close();
          open = undefined;
          open = { name, file: await files.open(name) };
        }
        for (const entry of await readExtent(extent, open.file, files.pathOf(name))) {
          if (entry.index < from || entry.index > until) continue;
          bytes += entry.data.length;
          if (bytes > wanted.maxBytes && result.length > 0) return result;
          result.push(entry);
          from = (entry.index + 1) as LogIndex;
        }
      }
    }
    return result;
  } finally {
    await open?.file.close();
  }
}

/** Its living entries. Frames are taken in order, so that a later one replaces what it repeats. */
async function readExtent(
  extent: Extent<Segment>,
  file: DiskFile,
  path: string,
): Promise<LogEntry[]> {
  const read = await file.read(extent.offset, extent.bytes);
  const bytes = Buffer.from(read.buffer, read.byteOffset, read.byteLength);
  const entries: LogEntry[] = [];
  for (let offset = 0; offset < extent.bytes;) {
    const frame = decodeFrame(bytes, offset, extent.segment.header);
    if (frame === undefined) {
      throw new LogDamagedError(path, extent.offset + offset, "it does not verify any more");
    }
    while ((entries.at(-1)?.index ?? 0) >= frame.firstIndex) entries.pop();
    for (const entry of frame.entries) entries.push(entry);
    offset = frame.end;
  }
  return entries.filter(
    (entry) => entry.index >= extent.firstIndex && entry.index <= extent.lastIndex,
  );
}
