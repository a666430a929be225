import { z } from "zod";
import { sleep } from "../lib/index.ts";
import type { Clock, Fetch, Logger, Random } from "../lib/index.ts";
import type { ContentSource } from "./content-source.ts";
import { ImageError } from "./image-error.ts";
import type { ImageStore } from "./image-store.ts";
import type { LocalRegistry } from "./local-registry.ts";
import { parseManifest, referencesOf } from "./manifest.ts";
import { isDigest, isRepositoryName, isTag } from "./reference.ts";
import { RemoteRegistry } from "./remote-registry.ts";
import type { TagState } from "./repositories.ts";

/** Another server of the cluster, as a way to its peer listener. */
export interface ImagePeer {
  readonly name: string;
  readonly fetch: Fetch;
}

export interface ImageReplicationOptions {
  readonly images: Pick<ImageStore, "registry">;
  /** This server's name among the others. */
  readonly self: string;
  /** The other servers that keep images, asked for at each use. */
  readonly peers: () => readonly ImagePeer[];
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Keeps the registries of all servers alike. */
export interface ImageReplication {
  /**
   * Answers requests of other servers under {@link REPLICATION_PATH}; whoever mounts it has made
   * sure that the caller is a server. /v2/ is to be mounted for them too.
   */
  serve(request: Request): Promise<Response>;
  /** Compares with the others now and then, until the signal aborts. */
  start(signal: AbortSignal): void;
}

export const REPLICATION_PATH = "/kubun/v1/images/";
/** A push is answered when another server has all of it, or after this long. */
export const PUSH_WAIT_MS = 10_000;
/** How long a server may take to fetch what another one announced. */
const FETCH_LIMIT_MS = 600_000;
const COMPARE_INTERVAL_MS = 60_000;
const FIRST_COMPARE_MS = 2_000;
/** Announcements under way at once, for all peers together; more are left to the comparison. */
export const MAX_ANNOUNCEMENTS = 64;
const MAX_INDEX_DEPTH = 3;
const PEER_HOST = "peer.kubun.internal";

const tagStateSchema = z.object({
  repository: z.string().refine(isRepositoryName),
  tag: z.string().refine(isTag),
  digest: z.string().refine(isDigest).optional(),
  at: z.number().int().nonnegative(),
});
const announcementSchema = z.object({ from: z.string(), state: tagStateSchema });
const tagStatesSchema = z.object({ tags: z.array(tagStateSchema) });

/**
 * Each pushed image goes to the other servers: who took the push announces its tag, the others
 * fetch what they lack and set the tag. Of two states of a tag the later one stands, by the wall
 * clocks of the servers that took them. A comparison of all tags once a minute brings what a server
 * missed while it was away; content without a tag is not replicated.
 */
export function createImageReplication(options: ImageReplicationOptions): ImageReplication {
  return new Replication(options);
}

class Replication implements ImageReplication {
  readonly #options: ImageReplicationOptions;
  readonly #registry: LocalRegistry;
  /** One fetch at a time for each tag. */
  readonly #adopting = new Map<string, Promise<void>>();
  #announcing = 0;

  constructor(options: ImageReplicationOptions) {
    this.#options = options;
    this.#registry = options.images.registry;
    this.#registry.onTagChange = (change) => this.#tagChanged(change);
  }

  async serve(request: Request): Promise<Response> {
    const path = new URL(request.url).pathname;
    if (path !== `${REPLICATION_PATH}tags`) return new Response("not found\n", { status: 404 });
    if (request.method === "GET") {
      return Response.json({ tags: this.#registry.repositories.tagStates() });
    }
    if (request.method !== "POST") return new Response("GET or POST\n", { status: 405 });
    const parsed = announcementSchema.safeParse(await request.json().catch(() => undefined));
    if (!parsed.success) return new Response(z.prettifyError(parsed.error), { status: 400 });
    const { from, state } = parsed.data;
    const peers = this.#options.peers();
    const announcer = peers.filter(({ name }) => name === from);
    const others = peers.filter(({ name }) => name !== from);
    try {
      await this.#adopt(tagState(state), [...announcer, ...others]);
    } catch (error) {
      return new Response(`${String(error)}\n`, { status: 502 });
    }
    return Response.json({});
  }

  start(signal: AbortSignal): void {
    void this.#compareForever(signal);
  }

  /** Resolves once another server has it, none is left that could, or the time is over. */
  async #tagChanged(state: TagState): Promise<void> {
    const { clock, logger } = this.#options;
    const announcements = this.#options.peers().map((peer) => this.#announce(peer, state));
    if (announcements.length === 0) return;
    const patience = new AbortController();
    const inTime = await Promise.race([
      Promise.any(announcements).then(
        () => true,
        () => false,
      ),
      sleep(clock, PUSH_WAIT_MS, patience.signal).then(() => false),
    ]);
    patience.abort();
    const { repository, tag } = state;
    if (!inTime) logger.warn("an image is at this server alone so far", { repository, tag });
  }

  async #announce(peer: ImagePeer, state: TagState): Promise<void> {
    const { clock, logger, self } = this.#options;
    if (this.#announcing >= MAX_ANNOUNCEMENTS) throw new Error("too many announcements");
    this.#announcing++;
    const limit = new AbortController();
    const cancel = clock.after(FETCH_LIMIT_MS, () => limit.abort(new Error("too slow")));
    try {
      const response = await peer.fetch(
        new Request(`http://${PEER_HOST}${REPLICATION_PATH}tags`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ from: self, state }),
          signal: limit.signal,
        }),
      );
      const text = await response.text();
      if (!response.ok) throw new Error(`${response.status} ${text.slice(0, 200)}`);
    } catch (error) {
      const { repository, tag } = state;
      const about = { repository, tag, peer: peer.name, error: String(error) };
      logger.debug("an image was not taken over yet", about);
      throw error;
    } finally {
      cancel();
      this.#announcing--;
    }
  }

  async #compareForever(signal: AbortSignal): Promise<void> {
    const { clock, random, logger } = this.#options;
    await sleep(clock, FIRST_COMPARE_MS, signal);
    while (!signal.aborted) {
      for (const peer of this.#options.peers()) {
        try {
          await this.#compareWith(peer, signal);
        } catch (error) {
          logger.debug("images not compared", { peer: peer.name, error: String(error) });
        }
      }
      await sleep(clock, COMPARE_INTERVAL_MS * (0.5 + random.float()), signal);
    }
  }

  async #compareWith(peer: ImagePeer, signal: AbortSignal): Promise<void> {
    const request = new Request(`http://${PEER_HOST}${REPLICATION_PATH}tags`, { signal });
    const response = await peer.fetch(request);
    if (!response.ok) throw new Error(`answered ${response.status}: ${await response.text()}`);
    const { tags } = tagStatesSchema.parse(await response.json());
    for (const state of tags) {
      if (signal.aborted) return;
      if (!this.#isNews(tagState(state))) continue;
      try {
        await this.#adopt(tagState(state), [peer]);
      } catch (error) {
        const { repository, tag } = state;
        this.#options.logger.warn("an image was not fetched from another server", {
          repository,
          tag,
          peer: peer.name,
          error: String(error),
        });
      }
    }
  }

  /** Of two states with one time the greater digest stands, so that all servers agree. */
  #isNews({ repository, tag, digest, at }: TagState): boolean {
    const { repositories } = this.#registry;
    const known = repositories.tagTime(repository, tag);
    if (known === undefined) return digest !== undefined;
    if (at !== known) return at > known;
    return (digest ?? "") > (repositories.tags(repository)?.get(tag) ?? "");
  }

  async #adopt(state: TagState, sources: readonly ImagePeer[]): Promise<void> {
    const key = `${state.repository}:${state.tag}`;
    const before = this.#adopting.get(key);
    const work = (async () => {
      // Who was before reports its own failure.
      await before?.catch(() => undefined);
      if (this.#isNews(state)) await this.#takeOver(state, sources);
    })();
    this.#adopting.set(key, work);
    try {
      await work;
    } finally {
      if (this.#adopting.get(key) === work) this.#adopting.delete(key);
    }
  }

  async #takeOver(state: TagState, sources: readonly ImagePeer[]): Promise<void> {
    const { repository, tag, digest, at } = state;
    const { repositories } = this.#registry;
    if (digest === undefined) {
      repositories.deleteTag(repository, tag, at);
      return;
    }
    let failure: unknown = new ImageError("unreachable", "no other server is known");
    for (const peer of sources) {
      try {
        await this.#fetchManifest(this.#sourceAt(peer, repository), repository, digest, 0);
        // What happened here in the meantime may be later still.
        if (this.#isNews(state)) await repositories.setTag(repository, tag, digest, at);
        return;
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  #sourceAt(peer: ImagePeer, repository: string): ContentSource {
    const { clock } = this.#options;
    return new RemoteRegistry({
      reference: { host: PEER_HOST, repository },
      blobs: this.#registry.blobs,
      clock,
      fetch: peer.fetch,
      maxBlobBytes: this.#registry.maxBlobBytes,
      pull: { signal: new AbortController().signal },
    });
  }

  /** Children before their index, blobs before their manifest: only whole ones are taken. */
  async #fetchManifest(
    source: ContentSource,
    repository: string,
    digest: string,
    depth: number,
  ): Promise<void> {
    if (this.#registry.repositories.manifests(repository).has(digest)) return;
    if (depth > MAX_INDEX_DEPTH) throw new ImageError("unsupported", "indexes inside each other");
    const { bytes, mediaType } = await source.manifest(digest);
    const manifest = parseManifest(bytes, mediaType);
    const needed = referencesOf(manifest).filter(({ urls = [] }) => urls.length === 0);
    await this.#registry.pin([digest, ...needed.map((one) => one.digest)], async () => {
      for (const part of needed) {
        if (manifest.type === "index") {
          await this.#fetchManifest(source, repository, part.digest, depth + 1);
        } else {
          await source.fetchBlob(part);
          await this.#registry.mount(repository, part.digest);
        }
      }
      await this.#registry.putManifest(repository, bytes, { mediaType });
    });
  }
}

function tagState({ digest, ...rest }: z.infer<typeof tagStateSchema>): TagState {
  return digest === undefined ? rest : { ...rest, digest };
}
