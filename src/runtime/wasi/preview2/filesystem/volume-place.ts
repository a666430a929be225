import type { SharedDirectory } from "./shared-directory.ts";

/** Where a path of the guest is: below one of its directories. */
export interface VolumePlace {
  readonly root: SharedDirectory;
  /** Relative to the root; `.` for the root itself. */
  readonly path: string;
}

/**
 * The directory that a guest's absolute path is in, the innermost one when mounts are nested, and
 * the rest of the path. Undefined when it is in none of them.
 */
export function volumePlace(
  directories: readonly SharedDirectory[],
  guestPath: string,
): VolumePlace | undefined {
  let found: VolumePlace | undefined;
  let length = -1;
  for (const root of directories) {
    const mount = root.guestPath.replace(/\/+$/, "");
    if (!`${guestPath}/`.startsWith(`${mount}/`) || mount.length <= length) continue;
    const path = guestPath.slice(mount.length + 1);
    found = { root, path: path === "" ? "." : path };
    length = mount.length;
  }
  return found;
}
