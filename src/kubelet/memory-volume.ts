import { readFileSync } from "node:fs";
import type { Pod, Volume } from "../api/index.ts";
import { parseQuantity } from "../apimachinery/index.ts";

/**
 * Puts a tmpfs over the directory of an emptyDir with `medium: Memory`, unless one is there.
 * Mounting takes root: without it the volume stays a plain directory on the disk. What guests write
 * there counts as their memory where cgroups count it.
 */
export function mountMemoryVolume(directory: string, pod: Pod, volume: Volume): void {
  if (process.getuid?.() !== 0 || mountsBelow(directory).includes(directory)) return;
  const size = memoryVolumeBytes(pod, volume);
  const options = ["mode=0777", "nosuid", "nodev", ...(size === undefined ? [] : [`size=${size}`])];
  const command = ["mount", "-t", "tmpfs", "-o", options.join(","), "kubun", directory];
  // A container's root may lack the capability: the directory below serves as well.
  Bun.spawnSync({ cmd: command, stdout: "ignore", stderr: "ignore" });
}

/** What the volume says, or what its pod's containers may have; undefined: the kernel's half. */
export function memoryVolumeBytes(pod: Pod, { emptyDir }: Volume): number | undefined {
  const limits = (pod.spec?.containers ?? []).map(({ resources }) => resources?.limits?.["memory"]);
  const bytes = (text: string): number => parseQuantity(text).value();
  const bounded = limits.filter((limit) => limit !== undefined);
  const whole = bounded.length === limits.length && bounded.length > 0;
  const most = whole ? bounded.reduce((sum, limit) => sum + bytes(limit), 0) : undefined;
  const own = emptyDir?.sizeLimit === undefined ? 0 : bytes(emptyDir.sizeLimit);
  if (own <= 0) return most;
  return most === undefined ? own : Math.min(own, most);
}

/** Takes away what {@link mountMemoryVolume} mounted in a directory, used or not. */
export function unmountBelow(directory: string): void {
  if (process.getuid?.() !== 0) return;
  for (const path of mountsBelow(directory)) {
    Bun.spawnSync({ cmd: ["umount", "-l", path], stdout: "ignore", stderr: "ignore" });
  }
}

/** Mount points at a directory and below it. */
function mountsBelow(directory: string): string[] {
  let mounts: string;
  try {
    mounts = readFileSync("/proc/self/mountinfo", "utf8");
  } catch {
    return []; // Not Linux: nothing was mounted either.
  }
  const places = mounts.split("\n").map((line) => unescaped(line.split(" ")[4] ?? ""));
  return places.filter((path) => path === directory || path.startsWith(`${directory}/`));
}

/** Spaces and their like stand there as `\040`. */
function unescaped(path: string): string {
  return path.replace(/\\(\d{3})/g, (_, code: string) => String.fromCharCode(parseInt(code, 8)));
}
