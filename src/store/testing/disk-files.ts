import type { StateFiles } from "../../mvcc/index.ts";
import type { Disk } from "../disk.ts";

/** Whole files on a disk, where a state in memory keeps its snapshots. */
export function diskFiles(disk: Disk): StateFiles {
  return {
    read: async (path) => {
      const file = await disk.open(path);
      return file.read(0, await file.size());
    },
    write: async (path, bytes) => {
      const file = await disk.open(path);
      await file.writeDurably(0, bytes);
    },
    remove: (path) => disk.remove(path),
  };
}
