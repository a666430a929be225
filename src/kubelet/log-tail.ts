import { open } from "node:fs/promises";
import { parseCriLogLine } from "./cri-log-line.ts";

const CHUNK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/** A place in a log that may have been rotated. */
export interface LogPlace {
  readonly path: string;
  readonly offset: number;
}

/**
 * Where the last `lines` lines of a log begin, reading from its end: the files are given the oldest
 * first. Undefined when there is none.
 */
export async function tailPlace(
  files: readonly string[],
  lines: number,
): Promise<LogPlace | undefined> {
  let place: LogPlace | undefined;
  let left = lines;
  for (const path of files.toReversed()) {
    const found = await tailOf(path, left).catch(() => undefined);
    if (found === undefined) continue; // Never written, or rotated away.
    place = { path, offset: found.offset };
    left -= found.lines;
    if (left <= 0) break;
  }
  return place;
}

/** Where the last lines of one file begin, and how many of them it has. */
async function tailOf(path: string, most: number): Promise<{ offset: number; lines: number }> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    if (most <= 0 || size === 0) return { offset: size, lines: 0 };
    let lines = 0;
    const chunk = new Uint8Array(CHUNK_BYTES);
    for (let end = size; end > 0;) {
      const start = Math.max(0, end - CHUNK_BYTES);
      const { bytesRead } = await file.read(chunk, 0, end - start, start);
      for (let index = bytesRead - 1; index >= 0; index--) {
        // The newline that ends the file ends its last line; it separates nothing.
        if (chunk[index] !== NEWLINE || start + index === size - 1) continue;
        if (++lines >= most) return { offset: start + index + 1, lines };
      }
      end = start;
    }
    return { offset: 0, lines: lines + 1 };
  } finally {
    await file.close();
  }
}

/** The text of the last lines of a CRI log, newlines included; nothing for a missing file. */
export async function tailOfLog(path: string, lines: number): Promise<string[]> {
  try {
    const place = await tailPlace([path], lines);
    if (place === undefined) return [];
    const text = await Bun.file(path).slice(place.offset).text();
    return text
      .split("\n")
      .map(parseCriLogLine)
      .flatMap((line) => (line === undefined ? [] : [line.text + (line.complete ? "\n" : "")]));
  } catch {
    return []; // The log was removed or never written: there are no last words.
  }
}
