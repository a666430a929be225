import type { LocalRegistry } from "./local-registry.ts";
import type { Resolution } from "./resolve-image.ts";

/** Content without a name stays this long: it may belong to a push that is not complete yet. */
export const GARBAGE_GRACE_MS = 60 * 60 * 1_000;

export interface GarbageReport {
  readonly removedBlobs: number;
  readonly freedBytes: number;
}

export interface GarbageInput {
  readonly registry: LocalRegistry;
  /** By the digest a name leads to. */
  readonly resolutions: ReadonlyMap<string, Resolution>;
  /** Digests that pulled names lead to. */
  readonly pulled: ReadonlySet<string>;
  readonly nowMs: number;
  readonly forgetResolution: (digest: string) => void;
}

/**
 * Marks what names lead to and removes the rest. It runs without a pause from mark to sweep, and
 * content that an operation under way has pinned counts as named.
 */
export function collectGarbage(input: GarbageInput): GarbageReport {
  const { registry, nowMs } = input;
  const { repositories, blobs } = registry;
  const live = new Set<string>(registry.pinned.keys());
  const roots = new Set<string>(input.pulled);
  for (const name of repositories.names()) {
    const named = new Set<string>();
    for (const [digest, record] of repositories.manifests(name)) {
      roots.add(digest);
      named.add(digest);
      for (const reference of record.references) named.add(reference);
    }
    for (const digest of named) live.add(digest);
    for (const digest of repositories.blobs(name)) {
      if (named.has(digest) || registry.pinned.has(digest)) continue;
      const age = nowMs - (blobs.modifiedAt(digest) ?? 0);
      if (age > GARBAGE_GRACE_MS) repositories.deleteBlob(name, digest);
      else live.add(digest);
    }
  }
  for (const [digest, resolution] of input.resolutions) {
    if (roots.has(digest)) for (const blob of resolution.blobs) live.add(blob);
    else input.forgetResolution(digest);
  }
  return sweep(input, live);
}

function sweep({ registry, nowMs }: GarbageInput, live: ReadonlySet<string>): GarbageReport {
  const { blobs } = registry;
  let removedBlobs = 0;
  let freedBytes = 0;
  for (const digest of blobs.list()) {
    if (live.has(digest)) continue;
    if (nowMs - (blobs.modifiedAt(digest) ?? 0) <= GARBAGE_GRACE_MS) continue;
    freedBytes += blobs.sizeOf(digest) ?? 0;
    removedBlobs++;
    blobs.remove(digest);
  }
  return { removedBlobs, freedBytes };
}
