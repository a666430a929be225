import { chmodSync, lchownSync, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Pod } from "../api/index.ts";

const SET_GROUP_ID = 0o2000;

/**
 * Gives what is in a volume to the pod's `fsGroup`, as it was just written by the kubelet: no
 * program has been there yet. Files of directories that are written later belong to it as well.
 */
export function giveToGroup(path: string, pod: Pod, options: { readonly writable: boolean }): void {
  const group = pod.spec?.securityContext?.fsGroup;
  if (group === undefined || process.getuid?.() !== 0) return;
  const { uid, mode } = lstatSync(path);
  lchownSync(path, uid, group);
  const found = lstatSync(path);
  if (found.isSymbolicLink()) return;
  const shared = options.writable ? 0o660 : 0o440;
  const directory = found.isDirectory() ? 0o110 | SET_GROUP_ID : 0;
  chmodSync(path, (mode & 0o7777) | shared | directory);
  if (!found.isDirectory()) return;
  for (const name of readdirSync(path)) giveToGroup(join(path, name), pod, options);
}
