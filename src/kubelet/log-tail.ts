import { open } from "node:fs/promises";
import { parseCriLogLine } from "./cri-log-line.ts";

const CHUNK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/** Where the last `lines` lines of a file begin, reading from its end. */
export async function tailOffset(path: string, lines: number): Promise<number> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    if (lines <= 0) return size;
    let left = lines;
    const chunk = new Uint8Array(CHUNK_BYTES);
    for (let end = size; end > 0;) {
      const start = Math.max(0, end - CHUNK_BYTES);
      const { bytesRead } = await file.read(chunk, 0, end - start, start);
      for (let index = bytesRead - 1; index >= 0; index--) {
        // The newline that ends the file ends its last line; it separates nothing.
        if (chunk[index] !== NEWLINE || start + index === size - 1) continue;
        if (--left <= 0) return start + index + 1;
      }
      end = start;
    }
    return 0;
  } finally {
    await file.close();
  }
}

/** The text of the last lines of a CRI log, newlines included; nothing for a missing file. */
export async function tailOfLog(path: string, lines: number): Promise<string[]> {
  try {
    const offset = await tailOffset(path, lines);
    const text = await Bun.file(path).slice(offset).text();
    return text
      .split("\n")
      .map(parseCriLogLine)
      .flatMap((line) => (line === undefined ? [] : [line.text + (line.complete ? "\n" : "")]));
  } catch {
    return []; // The log was removed or never written: there are no last words.
  }
}
