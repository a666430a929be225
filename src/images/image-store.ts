import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { assert, type Clock, type Fetch, type Logger } from "../lib/index.ts";
import { BlobStore, sha256Of, writeDurably } from "./blob-store.ts";
import type { ContentSource } from "./content-source.ts";
import { collectGarbage, type GarbageReport } from "./garbage.ts";
import type { Images, PullOptions, PushModuleOptions, ResolvedImage } from "./image.ts";
import { ImageError } from "./image-error.ts";
import { DEFAULT_MAX_BLOB_BYTES, LocalRegistry } from "./local-registry.ts";
import { LocalSource } from "./local-source.ts";
import { hostArchitecture } from "./platform.ts";
import { DEFAULT_TAG, formatReference, parseReference, remoteReference } from "./reference.ts";
import type { Reference } from "./reference.ts";
import { outgoingFetch } from "./outgoing-fetch.ts";
import { RemoteRegistry } from "./remote-registry.ts";
import { resolutionSchema, resolveImage, type Resolution } from "./resolve-image.ts";
import { pushWasmArtifact, wasmArtifact } from "./wasm-artifact.ts";

/** Pulls from other registries under way at once; further ones wait. */
export const MAX_CONCURRENT_PULLS = 4;

/** Stands for whichever server is asked: requests to it are rewritten on their way. */
const CLUSTER_HOST = "registry.kubun.internal";

const pulledSchema = z.object({ reference: z.string(), digest: z.string() });

export interface ImageStoreOptions {
  readonly directory: string;
  readonly logger: Logger;
  readonly clock: Clock;
  /** How other registries are reached; over the network unless given. */
  readonly fetch?: Fetch;
  /** True for `host:port` names under which clients know this cluster's registry. */
  readonly isOwnHost?: (host: string) => boolean;
  /**
   * Where the cluster's own registry is asked for what is not here, one after another: other
   * servers, or on a node without a server any server. Asked for at each pull.
   */
  readonly clusterSources?: () => readonly Fetch[];
  readonly maxBlobBytes?: number;
}

export interface ImageStore extends Images {
  /** The cluster's own registry, for its HTTP API. */
  readonly registry: LocalRegistry;
  /** Removes content that no name leads to and that is not young; opening a store does it too. */
  collectGarbage(): GarbageReport;
  close(): Promise<void>;
}

/** Opens or creates a store. One process at a time may have a directory open. */
export function openImageStore(options: ImageStoreOptions): ImageStore {
  return new DiskImageStore(options);
}

class DiskImageStore implements ImageStore {
  readonly registry: LocalRegistry;
  readonly #options: ImageStoreOptions;
  readonly #blobs: BlobStore;
  readonly #resolutions = new Map<string, Resolution>();
  /** Pulled names, in full (`docker.io/library/nginx:latest`), and what they led to. */
  readonly #pulled = new Map<string, string>();
  readonly #working = new Map<string, Promise<unknown>>();
  readonly #waiting: (() => void)[] = [];
  #pulling = 0;

  constructor(options: ImageStoreOptions) {
    const { directory, clock, logger } = options;
    this.#options = options;
    mkdirSync(directory, { recursive: true });
    this.#blobs = new BlobStore(directory);
    const maxBlobBytes = options.maxBlobBytes ?? DEFAULT_MAX_BLOB_BYTES;
    const blobs = this.#blobs;
    this.registry = new LocalRegistry({ directory, blobs, clock, logger, maxBlobBytes });
    this.#load();
    this.collectGarbage();
  }

  async pull(name: string | Reference, options: PullOptions): Promise<ResolvedImage> {
    const reference = asReference(name);
    const text = formatReference(reference);
    if (options.signal.aborted) throw new ImageError("cancelled", "the pull was cancelled");
    const digest = this.#localDigest(reference);
    if (digest !== undefined) {
      const source = new LocalSource(this.registry, reference.repository);
      return this.#inTurn(digest, () => this.#resolve(source, digest, reference));
    }
    const remote = remoteReference(reference);
    return this.#inTurn(formatReference(remote), () =>
      this.#whenFree(
        async () =>
          (await this.#pullFromCluster(reference, remote, options)) ??
          this.#pullRemote(remote, text, options),
      ),
    );
  }

  /** Undefined when the name is not of this cluster's registry, or nobody in it has the image. */
  async #pullFromCluster(
    reference: Reference,
    remote: Reference,
    pull: PullOptions,
  ): Promise<ResolvedImage | undefined> {
    if (!this.#isOwn(reference)) return undefined;
    for (const fetch of this.#options.clusterSources?.() ?? []) {
      const source = this.#clusterSource(reference.repository, fetch, pull.signal);
      try {
        const { digest } = await this.#resolveAndKeep(
          source,
          reference.digest ?? reference.tag ?? DEFAULT_TAG,
        );
        await this.#keepPulled(formatReference(withoutTag(remote)), digest);
        return this.#known(formatReference(reference), digest);
      } catch (error) {
        const elsewhere =
          error instanceof ImageError &&
          ["not-found", "unreachable", "unauthorized"].includes(error.code);
        if (!elsewhere) throw error;
        const image = formatReference(reference);
        this.#options.logger.debug("not at this server", { image, error: error.message });
      }
    }
    return undefined;
  }

  #clusterSource(repository: string, fetch: Fetch, signal: AbortSignal): ContentSource {
    return new RemoteRegistry({
      reference: { host: CLUSTER_HOST, repository },
      blobs: this.#blobs,
      clock: this.#options.clock,
      fetch,
      maxBlobBytes: this.registry.maxBlobBytes,
      pull: { signal },
    });
  }

  get(name: string | Reference): ResolvedImage | undefined {
    const reference = asReference(name);
    const digest =
      this.#localDigest(reference) ??
      this.#pulled.get(formatReference(withoutTag(remoteReference(reference))));
    return digest === undefined ? undefined : this.#image(formatReference(reference), digest);
  }

  list(): readonly ResolvedImage[] {
    const { repositories } = this.registry;
    const own = repositories
      .names()
      .flatMap((name) =>
        [...(repositories.tags(name) ?? [])].map(([tag, digest]) =>
          this.#image(`${name}:${tag}`, digest),
        ),
      );
    const pulled = [...this.#pulled].map(([name, digest]) => this.#image(name, digest));
    return [...own, ...pulled].filter((image) => image !== undefined);
  }

  async remove(name: string | Reference): Promise<boolean> {
    const reference = asReference(name);
    const { repositories } = this.registry;
    const digest = this.#localDigest(reference);
    if (digest !== undefined) {
      const { repository, tag = DEFAULT_TAG } = reference;
      if (reference.digest === undefined) {
        this.registry.deleteTag(repository, tag);
        const tags = repositories.tags(repository)?.values() ?? [];
        if (![...tags].includes(digest)) this.registry.deleteManifest(repository, digest);
      } else {
        this.registry.deleteManifest(repository, digest);
      }
    } else {
      const pulled = formatReference(withoutTag(remoteReference(reference)));
      if (!this.#pulled.delete(pulled)) return false;
      rmSync(this.#pulledPath(pulled), { force: true });
    }
    this.collectGarbage();
    return true;
  }

  async pushModule(
    name: string | Reference,
    bytes: Uint8Array,
    options: PushModuleOptions = {},
  ): Promise<ResolvedImage> {
    const reference = asReference(name);
    const text = formatReference(reference);
    if (reference.digest !== undefined || !this.#isOwn(reference)) {
      const why = "a module is pushed under a name and tag of the cluster's own registry";
      throw new ImageError("invalid-reference", `${text}: ${why}`);
    }
    const { repository, tag = DEFAULT_TAG } = reference;
    const artifact = wasmArtifact(bytes, options);
    await pushWasmArtifact(this.registry, artifact, { repository, tag });
    return this.pull(reference, { signal: new AbortController().signal });
  }

  collectGarbage(): GarbageReport {
    return collectGarbage({
      registry: this.registry,
      resolutions: this.#resolutions,
      pulled: new Set(this.#pulled.values()),
      nowMs: this.#options.clock.now(),
      forgetResolution: (digest) => {
        this.#resolutions.delete(digest);
        rmSync(this.#resolutionPath(digest), { force: true });
      },
    });
  }

  async close(): Promise<void> {
    await this.registry.uploads.close();
  }

  async #pullRemote(
    remote: Reference & { readonly host: string },
    text: string,
    pull: PullOptions,
  ): Promise<ResolvedImage> {
    const source = new RemoteRegistry({
      reference: remote,
      blobs: this.#blobs,
      clock: this.#options.clock,
      fetch: this.#options.fetch ?? outgoingFetch,
      maxBlobBytes: this.registry.maxBlobBytes,
      pull,
    });
    try {
      const wanted = remote.digest ?? remote.tag ?? DEFAULT_TAG;
      const { digest } = await this.#resolveAndKeep(source, wanted);
      await this.#keepPulled(formatReference(withoutTag(remote)), digest);
      return this.#known(text, digest);
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      const own =
        asReference(text).host === undefined ? "it is not in the cluster's registry; " : "";
      throw new ImageError(error.code, `image ${text}: ${own}${error.message}`, { cause: error });
    }
  }

  async #keepPulled(name: string, digest: string): Promise<void> {
    await writeDurably(this.#pulledPath(name), JSON.stringify({ reference: name, digest }));
    this.#pulled.set(name, digest);
  }

  async #resolve(
    source: ContentSource,
    digest: string,
    reference: Reference,
  ): Promise<ResolvedImage> {
    const known = this.#image(formatReference(reference), digest);
    if (known !== undefined) return known;
    await this.#resolveAndKeep(source, digest);
    return this.#known(formatReference(reference), digest);
  }

  async #resolveAndKeep(source: ContentSource, reference: string): Promise<{ digest: string }> {
    const architecture = hostArchitecture();
    const found = await resolveImage(source, this.#blobs, reference, { architecture });
    const { digest, resolution } = found;
    await writeDurably(this.#resolutionPath(digest), JSON.stringify(resolution));
    this.#resolutions.set(digest, resolution);
    return { digest };
  }

  #known(text: string, digest: string): ResolvedImage {
    const image = this.#image(text, digest);
    assert(image !== undefined, `image ${digest} was resolved a moment ago`);
    return image;
  }

  #image(text: string, digest: string): ResolvedImage | undefined {
    const resolution = this.#resolutions.get(digest);
    if (resolution === undefined) return undefined;
    const { manifest, kind, module, config, sizeBytes } = resolution;
    if (module !== undefined && this.#blobs.sizeOf(module) === undefined) return undefined;
    const place = module === undefined ? {} : { modulePath: this.#blobs.pathOf(module) };
    return { reference: text, digest: manifest, kind, ...place, config, sizeBytes };
  }

  #isOwn(reference: Reference): boolean {
    return reference.host === undefined || this.#options.isOwnHost?.(reference.host) === true;
  }

  #localDigest(reference: Reference): string | undefined {
    if (!this.#isOwn(reference)) return undefined;
    const wanted = reference.digest ?? reference.tag ?? DEFAULT_TAG;
    return this.registry.repositories.resolve(reference.repository, wanted);
  }

  /** One at a time for each key, so that ten pods of one image fetch it once. */
  async #inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#working.get(key);
    const mine = this.#afterwards(before, work);
    this.#working.set(key, mine);
    try {
      return await mine;
    } finally {
      if (this.#working.get(key) === mine) this.#working.delete(key);
    }
  }

  async #afterwards<T>(before: Promise<unknown> | undefined, work: () => Promise<T>): Promise<T> {
    // Who was before reports its own failure.
    await before?.catch(() => undefined);
    return work();
  }

  /** What this cluster has itself waits for none of these: other registries may be silent. */
  async #whenFree<T>(work: () => Promise<T>): Promise<T> {
    while (this.#pulling >= MAX_CONCURRENT_PULLS) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#pulling++;
    try {
      return await work();
    } finally {
      this.#pulling--;
      this.#waiting.shift()?.();
    }
  }

  #resolutionPath(digest: string): string {
    return join(this.#options.directory, "resolved", digest.slice("sha256:".length));
  }

  #pulledPath(name: string): string {
    const file = sha256Of(Buffer.from(name)).slice("sha256:".length);
    return join(this.#options.directory, "pulled", file);
  }

  #load(): void {
    for (const [hex, value] of this.#records("resolved")) {
      const parsed = resolutionSchema.safeParse(value);
      if (parsed.success) this.#resolutions.set(`sha256:${hex}`, parsed.data as Resolution);
    }
    for (const [, value] of this.#records("pulled")) {
      const parsed = pulledSchema.safeParse(value);
      if (parsed.success) this.#pulled.set(parsed.data.reference, parsed.data.digest);
    }
  }

  /** Files written whole by rename; what cannot be read is worth a new pull, not a failed start. */
  #records(folder: string): [string, unknown][] {
    const path = join(this.#options.directory, folder);
    mkdirSync(path, { recursive: true });
    return readdirSync(path).flatMap((file): [string, unknown][] => {
      try {
        return [[file, JSON.parse(readFileSync(join(path, file), "utf8"))]];
      } catch (error) {
        rmSync(join(path, file), { force: true });
        this.#options.logger.warn("image record dropped", { file, error: String(error) });
        return [];
      }
    });
  }
}

function asReference(name: string | Reference): Reference {
  return typeof name === "string" ? parseReference(name) : name;
}

/** A digest says more than a tag beside it. */
function withoutTag<R extends Reference>(reference: R): R {
  if (reference.digest === undefined) return reference;
  const { tag: _, ...rest } = reference;
  return rest as R;
}
