import { Buffer } from "node:buffer";
import type { Disk } from "./disk.ts";

/** In front of the text: its length in bytes, so that a leftover behind it does not count. */
const LENGTH_DIGITS = 10;

/**
 * A small file that is replaced as a whole: it has its old text or its new one, whenever the
 * machine stops. The text stands on a line of its own behind a line with its length.
 */
export async function writeDurableFile(
  disk: Disk,
  directory: string,
  name: string,
  text: string,
): Promise<void> {
  const partial = `${directory}/${name}.partial`;
  const bytes = Buffer.from(text, "utf8");
  const length = String(bytes.length).padStart(LENGTH_DIGITS, "0");
  const file = await disk.open(partial);
  await file.writeDurably(0, Buffer.concat([Buffer.from(`${length}\n`), bytes, Buffer.from("\n")]));
  await file.close();
  await disk.rename(partial, `${directory}/${name}`);
  await disk.syncDirectory(directory);
}

/** @returns undefined when there is no such file */
export async function readDurableFile(
  disk: Disk,
  directory: string,
  name: string,
): Promise<string | undefined> {
  const names = await disk.list(directory);
  if (!names.includes(name)) return undefined;
  const file = await disk.open(`${directory}/${name}`);
  try {
    const bytes = Buffer.from(await file.read(0, await file.size()));
    const start = LENGTH_DIGITS + 1;
    const length = Number(bytes.toString("utf8", 0, LENGTH_DIGITS));
    if (!Number.isSafeInteger(length) || bytes.length < start + length) {
      throw new Error(`${directory}/${name} is damaged: it is shorter than it says`);
    }
    return bytes.toString("utf8", start, start + length);
  } finally {
    await file.close();
  }
}

export async function removeDurableFile(
  disk: Disk,
  directory: string,
  name: string,
): Promise<void> {
  const names = await disk.list(directory);
  if (!names.includes(name)) return;
  await disk.remove(`${directory}/${name}`);
  await disk.syncDirectory(directory);
}
