import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Logger } from "../lib/index.ts";
import { writeDurably } from "./blob-store.ts";

const recordSchema = z.object({
  mediaType: z.string(),
  sizeBytes: z.number(),
  references: z.array(z.string()),
  subject: z.string().optional(),
  artifactType: z.string().optional(),
  annotations: z.record(z.string(), z.string()).optional(),
});

/** What is kept of a stored manifest besides its bytes. */
export type ManifestRecord = z.infer<typeof recordSchema>;

/** Which of two servers' words about a tag is the later one; times are of the wall clock. */
export interface TagState {
  readonly repository: string;
  readonly tag: string;
  /** Undefined: the tag was removed. */
  readonly digest?: string;
  /** Milliseconds since the epoch; 0 from before tags had times. */
  readonly at: number;
}

/** Removed tags are remembered, so that a server that was away does not bring them back. */
export const MAX_REMOVED_TAGS = 10_000;

interface Repository {
  readonly tags: Map<string, string>;
  /** Of tags there and removed. */
  readonly tagTimes: Map<string, number>;
  readonly manifests: Map<string, ManifestRecord>;
  /** Blobs uploaded to or mounted into this repository. */
  readonly blobs: Set<string>;
}

/**
 * Which names have which content. All of it is in memory; each fact is also a small file, written
 * before the memory changes:
 *
 *     repositories/team+app/tags/v1              sha256:… 1767225600000
 *     repositories/team+app/removed/v0           1767225600000
 *     repositories/team+app/manifests/<hex>      {"mediaType":…}
 *     repositories/team+app/blobs/<hex>
 */
export class Repositories {
  readonly #directory: string;
  readonly #repositories = new Map<string, Repository>();

  constructor(directory: string, logger: Logger) {
    this.#directory = join(directory, "repositories");
    mkdirSync(this.#directory, { recursive: true });
    for (const folder of readdirSync(this.#directory)) {
      this.#load(folder.replaceAll("+", "/"), logger);
    }
  }

  names(): string[] {
    return [...this.#repositories.keys()].sort();
  }

  tags(name: string): ReadonlyMap<string, string> | undefined {
    return this.#repositories.get(name)?.tags;
  }

  manifests(name: string): ReadonlyMap<string, ManifestRecord> {
    return this.#repositories.get(name)?.manifests ?? new Map();
  }

  blobs(name: string): ReadonlySet<string> {
    return this.#repositories.get(name)?.blobs ?? new Set();
  }

  /** The digest of the manifest a tag or digest names, when it is stored. */
  resolve(name: string, reference: string): string | undefined {
    const repository = this.#repositories.get(name);
    const digest = reference.includes(":") ? reference : repository?.tags.get(reference);
    return digest !== undefined && repository?.manifests.has(digest) === true ? digest : undefined;
  }

  async addBlob(name: string, digest: string): Promise<void> {
    if (this.blobs(name).has(digest)) return;
    await writeDurably(this.#path(name, "blobs", digest), "");
    this.#repository(name).blobs.add(digest);
  }

  async addManifest(name: string, digest: string, record: ManifestRecord): Promise<void> {
    await writeDurably(this.#path(name, "manifests", digest), JSON.stringify(record));
    this.#repository(name).manifests.set(digest, record);
  }

  /** When the tag was last set or removed; undefined when neither is known. */
  tagTime(name: string, tag: string): number | undefined {
    return this.#repositories.get(name)?.tagTimes.get(tag);
  }

  /** Every tag there is or was. */
  tagStates(): readonly TagState[] {
    return [...this.#repositories].flatMap(([repository, { tags, tagTimes }]) =>
      [...tagTimes].map(([tag, at]): TagState => {
        const digest = tags.get(tag);
        return { repository, tag, at, ...(digest === undefined ? {} : { digest }) };
      }),
    );
  }

  async setTag(name: string, tag: string, digest: string, at: number): Promise<void> {
    await writeDurably(join(this.#folder(name), "tags", tag), `${digest} ${at}`);
    const repository = this.#repository(name);
    repository.tags.set(tag, digest);
    repository.tagTimes.set(tag, at);
    rmSync(join(this.#folder(name), "removed", tag), { force: true });
  }

  deleteTag(name: string, tag: string, at: number): boolean {
    const repository = this.#repositories.get(name);
    const known = repository?.tags.delete(tag) === true;
    if (!known || repository === undefined) return false;
    const removed = [...this.#repositories.values()].reduce(
      (sum, { tags, tagTimes }) => sum + tagTimes.size - tags.size,
      0,
    );
    if (removed > MAX_REMOVED_TAGS) repository.tagTimes.delete(tag);
    else {
      repository.tagTimes.set(tag, at);
      mkdirSync(join(this.#folder(name), "removed"), { recursive: true });
      writeFileSync(join(this.#folder(name), "removed", tag), String(at));
    }
    rmSync(join(this.#folder(name), "tags", tag), { force: true });
    return true;
  }

  /** Its tags go with it. */
  deleteManifest(name: string, digest: string, at: number): boolean {
    const repository = this.#repositories.get(name);
    if (repository?.manifests.has(digest) !== true) return false;
    for (const [tag, target] of repository.tags) {
      if (target === digest) this.deleteTag(name, tag, at);
    }
    rmSync(this.#path(name, "manifests", digest), { force: true });
    repository.manifests.delete(digest);
    return true;
  }

  deleteBlob(name: string, digest: string): boolean {
    const known = this.#repositories.get(name)?.blobs.delete(digest) === true;
    if (known) rmSync(this.#path(name, "blobs", digest), { force: true });
    return known;
  }

  #repository(name: string): Repository {
    const known = this.#repositories.get(name);
    if (known !== undefined) return known;
    const repository: Repository = {
      tags: new Map(),
      tagTimes: new Map(),
      manifests: new Map(),
      blobs: new Set(),
    };
    this.#repositories.set(name, repository);
    return repository;
  }

  #folder(name: string): string {
    return join(this.#directory, name.replaceAll("/", "+"));
  }

  #path(name: string, kind: "blobs" | "manifests", digest: string): string {
    return join(this.#folder(name), kind, digest.slice("sha256:".length));
  }

  #load(name: string, logger: Logger): void {
    const repository = this.#repository(name);
    for (const hex of this.#files(name, "blobs")) repository.blobs.add(`sha256:${hex}`);
    for (const hex of this.#files(name, "manifests")) {
      const text = readFileSync(this.#path(name, "manifests", `sha256:${hex}`), "utf8");
      const record = recordSchema.safeParse(safeJson(text));
      if (record.success) repository.manifests.set(`sha256:${hex}`, record.data);
      else logger.warn("manifest record skipped", { repository: name, digest: hex });
    }
    for (const tag of this.#files(name, "tags")) {
      const text = readFileSync(join(this.#folder(name), "tags", tag), "utf8");
      const [digest = "", at = "0"] = text.split(" ");
      if (!repository.manifests.has(digest)) continue;
      repository.tags.set(tag, digest);
      repository.tagTimes.set(tag, Number(at) || 0);
    }
    for (const tag of this.#files(name, "removed")) {
      const at = Number(readFileSync(join(this.#folder(name), "removed", tag), "utf8")) || 0;
      if (!repository.tags.has(tag)) repository.tagTimes.set(tag, at);
    }
  }

  /** A crash leaves a file whose name begins with a dot; it is removed here. */
  #files(name: string, kind: string): string[] {
    const folder = join(this.#folder(name), kind);
    mkdirSync(folder, { recursive: true });
    return readdirSync(folder).filter((file) => {
      if (!file.startsWith(".")) return true;
      rmSync(join(folder, file), { force: true });
      return false;
    });
  }
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
