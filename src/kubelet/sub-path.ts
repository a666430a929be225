import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { ConfigError } from "./config-error.ts";

/** O_PATH of Linux, on x86-64 and ARM64: a place in the tree, without opening what is there. */
const O_PATH = 0o10_000_000;
const HOLD = O_PATH | constants.O_NOFOLLOW;
/** As many links as a kernel follows. */
const MAX_LINKS = 40;

export interface SubPathOptions {
  /** The volume, which nobody in the pod can replace. */
  readonly root: string;
  readonly subPath: string;
  /** Missing directories are made. */
  readonly create: boolean;
}

/**
 * Mounts a part of a volume at `target`, a path of the kubelet's own. Programs of the pod may put
 * links and other directories in the volume's place while this runs (CVE-2017-1002101,
 * CVE-2021-25741): so each part is opened by its name in the directory that is held open already,
 * links are followed by hand and within the volume, and what is mounted is what was opened. Throws
 * {@link ConfigError}.
 */
export function bindSubPath(options: SubPathOptions & { readonly target: string }): void {
  const { target } = options;
  const held = openBeneath(options);
  try {
    prepareTarget(target, held);
    const source = `/proc/${process.pid}/fd/${held}`;
    // As it is: looking at where the path leads would be the race again.
    const command = ["mount", "--no-canonicalize", "--bind", source, target];
    const { exitCode, stderr } = Bun.spawnSync({ cmd: command, stdout: "ignore", stderr: "pipe" });
    if (exitCode === 0) return;
    throw new ConfigError(`subPath cannot be mounted: ${stderr.toString().trim()}`);
  } finally {
    closeSync(held);
  }
}

/** A former run of the container has its own copy of what is mounted here. */
function prepareTarget(target: string, held: number): void {
  Bun.spawnSync({ cmd: ["umount", "-l", target], stdout: "ignore", stderr: "ignore" });
  mkdirSync(dirname(target), { recursive: true, mode: 0o755 });
  if (fstatSync(held).isDirectory()) mkdirSync(target, { recursive: true, mode: 0o755 });
  else writeFileSync(target, "");
}

/** A descriptor of what `subPath` is in the volume; the caller closes it. */
export function openBeneath({ root, subPath, create }: SubPathOptions): number {
  const parts = subPath.split("/").filter((part) => part !== "" && part !== ".");
  const named = JSON.stringify(subPath);
  if (subPath.startsWith("/") || parts.includes("..")) {
    throw new ConfigError(`subPath ${named}: must be relative without ".."`);
  }
  const stack = [openSync(root, O_PATH)];
  let links = 0;
  try {
    while (parts.length > 0) {
      const part = parts.shift() ?? "";
      if (part === "..") {
        if (stack.length === 1) throw new ConfigError(`subPath ${named} leads out of the volume`);
        closeSync(stack.pop() ?? -1);
        continue;
      }
      const next = openPart(stack.at(-1) ?? -1, part, { named, create });
      if (!fstatSync(next).isSymbolicLink()) {
        stack.push(next);
        continue;
      }
      closeSync(next);
      if (++links > MAX_LINKS) throw new ConfigError(`subPath ${named} has too many links`);
      const link = readlinkSync(`/proc/self/fd/${stack.at(-1)}/${part}`);
      if (link.startsWith("/")) throw new ConfigError(`subPath ${named} leads out of the volume`);
      parts.unshift(...link.split("/").filter((each) => each !== "" && each !== "."));
    }
    return stack.pop() ?? -1;
  } finally {
    for (const descriptor of stack) closeSync(descriptor);
  }
}

function openPart(
  directory: number,
  part: string,
  { named, create }: { readonly named: string; readonly create: boolean },
): number {
  const path = `/proc/self/fd/${directory}/${part}`;
  try {
    return openSync(path, HOLD);
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
    if (!isMissing || !create) {
      throw new ConfigError(`subPath ${named} is not in the volume`, { cause: error });
    }
  }
  try {
    mkdirSync(path, { mode: 0o777 });
    return openSync(path, HOLD);
  } catch (error) {
    throw new ConfigError(`subPath ${named} was changed while it was made`, { cause: error });
  }
}
