import {
  chmodSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Container, Pod, Volume, VolumeMount } from "../api/index.ts";
import type { Mount } from "../runtime/index.ts";
import { writeAtomicDirectory } from "./atomic-directory.ts";
import { ConfigError } from "./config-error.ts";
import { expandVariables } from "./expansion.ts";
import { prepareHostPath } from "./host-path.ts";
import { mountMemoryVolume, unmountBelow } from "./memory-volume.ts";
import { bindSubPath } from "./sub-path.ts";
import { giveToGroup } from "./volume-group.ts";
import { type PayloadInput, volumePayload } from "./volume-payload.ts";

/** A volume that cannot be had now: the pod stays in ContainerCreating with a FailedMount event. */
export class VolumeError extends Error {
  override readonly name = "VolumeError";
}

/** Who a volume is mounted for. */
export interface Guest {
  readonly env: ReadonlyMap<string, string>;
  /** A module opens directories only; a container has anything mounted. */
  readonly kind: "wasm" | "oci";
  /** Other containers of the pod may plant links in a volume while this one starts. */
  readonly besideContainers?: boolean;
}

/** The volumes of pods as directories under `<root>/pods/<uid>/volumes/<name>`. */
export class PodVolumes {
  readonly #root: string;
  readonly #memory: string;

  /** Volumes with tokens of accounts are below `memoryDirectory`, if that is another one. */
  constructor(rootDirectory: string, memoryDirectory = rootDirectory) {
    this.#root = rootDirectory;
    this.#memory = memoryDirectory;
  }

  /** Makes or brings up to date every volume. Throws {@link VolumeError}. */
  prepare(input: PayloadInput, now: number): void {
    for (const volume of input.pod.spec?.volumes ?? []) this.#prepareVolume(volume, input, now);
  }

  /** What a container finds mounted. Throws {@link ConfigError}. */
  mounts(pod: Pod, container: Container, guest: Guest): Mount[] {
    const volumes = new Map((pod.spec?.volumes ?? []).map((one) => [one.name, one]));
    const mounts = new Map<string, Mount>();
    for (const mount of container.volumeMounts ?? []) {
      const volume = volumes.get(mount.name);
      if (volume === undefined) throw new ConfigError(`volume "${mount.name}" is not in the pod`);
      const made = this.#mount(pod, container, { volume, mount }, guest);
      mounts.set(made.guestPath, made);
    }
    return [...mounts.values()];
  }

  /** The uids of pods that have something here. */
  list(): string[] {
    const directories = [this.#root, this.#memory].map((root) => join(root, "pods"));
    return [...new Set(directories.filter(exists).flatMap((path) => readdirSync(path)))];
  }

  /** Where a volume of a pod is, or will be. */
  path(pod: Pod, volume: string): string {
    return this.#volumeDirectory(pod, volume);
  }

  /** Removes everything of a pod. */
  remove(uid: string): void {
    const directory = this.#podDirectory(uid);
    unmountBelow(directory);
    rmSync(directory, { recursive: true, force: true });
    rmSync(this.#podDirectory(uid, this.#memory), { recursive: true, force: true });
  }

  /** Where everything of a pod is that is no secret of its account. */
  podDirectory({ metadata }: Pod): string {
    return this.#podDirectory(metadata.uid ?? "");
  }

  /** Profiles that pods may name as `Localhost`. */
  get seccompDirectory(): string {
    return join(this.#root, "seccomp");
  }

  #podDirectory(uid: string, root = this.#root): string {
    return join(root, "pods", safeName("pod uid", uid));
  }

  #volumeDirectory(pod: Pod, name: string): string {
    const volume = (pod.spec?.volumes ?? []).find((one) => one.name === name);
    const root = volume !== undefined && holdsToken(volume) ? this.#memory : this.#root;
    const directory = join(this.#podDirectory(pod.metadata.uid ?? "", root), "volumes");
    return join(directory, safeName("volume", name));
  }

  #prepareVolume(volume: Volume, input: PayloadInput, now: number): void {
    const directory = this.#volumeDirectory(input.pod, volume.name);
    if (volume.emptyDir !== undefined) {
      const isNew = mkdirSync(directory, { recursive: true }) !== undefined;
      chmodSync(directory, 0o777);
      if (volume.emptyDir.medium === "Memory") mountMemoryVolume(directory, input.pod, volume);
      // What programs have put there since is theirs.
      if (isNew) giveToGroup(directory, input.pod, { writable: true });
      return;
    }
    let payload: ReturnType<typeof volumePayload>;
    try {
      if (volume.hostPath !== undefined) return prepareHostPath(volume.hostPath);
      payload = volumePayload(volume, input);
    } catch (error) {
      const why = `MountVolume.SetUp failed for volume "${volume.name}" : `;
      throw new VolumeError(why + (error as Error).message, { cause: error });
    }
    if (payload === undefined) {
      const kind = Object.keys(volume).find((key) => key !== "name") ?? "unknown";
      throw new VolumeError(`volume "${volume.name}": ${kind} is not supported on this node`);
    }
    // Closed to other users, wherever it is; the first pod makes it.
    if (holdsToken(volume)) mkdirSync(this.#memory, { recursive: true, mode: 0o700 });
    const isWritten = writeAtomicDirectory(directory, payload, now);
    if (isWritten) giveToGroup(directory, input.pod, { writable: false });
  }

  #mount(
    pod: Pod,
    container: Container,
    { volume, mount }: { readonly volume: Volume; readonly mount: VolumeMount },
    { env, kind, besideContainers = kind === "oci" }: Guest,
  ): Mount {
    const { mountPath: guestPath } = mount;
    const ownData = volume.emptyDir !== undefined || volume.hostPath !== undefined;
    const writable = ownData && mount.readOnly !== true;
    const root = volume.hostPath?.path ?? this.#volumeDirectory(pod, volume.name);
    const subPath =
      mount.subPathExpr === undefined
        ? (mount.subPath ?? "")
        : expandVariables(mount.subPathExpr, (name) => env.get(name));
    const shared = { guestPath, readOnly: !writable, ...propagationOf(mount, kind) };
    if (subPath === "" && (volume.hostPath === undefined || kind === "oci")) {
      return { ...shared, hostPath: root };
    }
    if (subPath === "") return this.#mountForModule(pod, container, root, shared);
    if (!besideContainers || process.getuid?.() !== 0) {
      const target = resolveSubPath(root, subPath, { create: writable });
      if (kind === "oci") return { ...shared, hostPath: target };
      return this.#mountForModule(pod, container, target, shared);
    }
    const place = join(this.podDirectory(pod), "subpaths", container.name);
    const target = join(place, encodeURIComponent(guestPath));
    bindSubPath({ root, subPath, target, create: writable });
    if (kind === "wasm") return this.#mountForModule(pod, container, target, shared);
    return { ...shared, hostPath: target };
  }

  #mountForModule(
    pod: Pod,
    container: Container,
    target: string,
    shared: Omit<Mount, "hostPath">,
  ): Mount {
    if (statSync(target).isDirectory()) return { ...shared, hostPath: target };
    return this.#mountFile(pod, container, target, shared.guestPath);
  }

  /**
   * WASI opens directories only. A single file is given as a copy in a directory of its own, which
   * stands where the file's parent would: like any subPath mount, it does not follow updates.
   */
  #mountFile(pod: Pod, container: Container, file: string, guestPath: string): Mount {
    if (!statSync(file).isFile()) {
      throw new ConfigError(`${file} is a device or a socket: WASM opens directories and files`);
    }
    const parent = dirname(guestPath);
    const staged = join(
      this.#podDirectory(pod.metadata.uid ?? ""),
      "files",
      container.name,
      encodeURIComponent(parent),
    );
    mkdirSync(staged, { recursive: true, mode: 0o755 });
    copyFileSync(file, join(staged, basename(guestPath)));
    return { guestPath: parent, hostPath: staged, readOnly: true };
  }
}

function propagationOf(
  { mountPropagation }: VolumeMount,
  kind: Guest["kind"],
): Pick<Mount, "propagation"> {
  if (kind === "wasm") return {};
  if (mountPropagation === "Bidirectional") return { propagation: "bidirectional" };
  return mountPropagation === "HostToContainer" ? { propagation: "host-to-container" } : {};
}

function holdsToken({ projected }: Volume): boolean {
  const sources = projected?.sources ?? [];
  return sources.some(({ serviceAccountToken }) => serviceAccountToken !== undefined);
}

/** The API server allows no other names; a path is made of them only after another look. */
function safeName(what: string, name: string): string {
  if (/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(name)) return name;
  throw new ConfigError(`${what} ${JSON.stringify(name)} cannot name a directory`);
}

/**
 * The real path of `subPath` in a volume, made if missing. A link planted by a container must not
 * lead out of the volume (CVE-2021-25741): every part is looked at before it is followed. Throws
 * {@link ConfigError}.
 */
export function resolveSubPath(
  root: string,
  subPath: string,
  options: { readonly create: boolean },
): string {
  const parts = subPath.split("/").filter((part) => part !== "" && part !== ".");
  if (subPath.startsWith("/") || parts.includes("..")) {
    throw new ConfigError(`subPath ${JSON.stringify(subPath)}: must be relative without ".."`);
  }
  const realRoot = realpathSync(root);
  let path = realRoot;
  for (const part of parts) {
    const next = join(path, part);
    if (options.create && !exists(next)) mkdirSync(next, { mode: 0o777 });
    try {
      path = realpathSync(next);
    } catch (error) {
      throw new ConfigError(`subPath ${JSON.stringify(subPath)} is not in the volume`, {
        cause: error,
      });
    }
    const inside = realRoot === "/" ? realRoot : `${realRoot}/`;
    if (path !== realRoot && !path.startsWith(inside)) {
      throw new ConfigError(`subPath ${JSON.stringify(subPath)} leads out of the volume`);
    }
  }
  return path;
}

function exists(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch {
    return false; // ENOENT: it is to be made.
  }
}
