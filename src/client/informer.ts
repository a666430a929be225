import { sleep } from "../lib/index.ts";
import type { Clock, Logger, Random } from "../lib/index.ts";
import { isExpired } from "./api-error.ts";
import { Backoff } from "./backoff.ts";
import type { Client, ResourceClient, ResourceOptions } from "./client.ts";
import type { KubeObject } from "../apimachinery/index.ts";
import { keyOf } from "./kube-object.ts";
import { ObjectStore } from "./object-store.ts";
import type { IndexFunction, Lister } from "./object-store.ts";
import type { ApiResource } from "./resources.ts";
import type { WatchEvent } from "./watch-decoder.ts";

export interface InformerHandler<T extends KubeObject> {
  onAdd?(object: T): void;
  onUpdate?(old: T, next: T): void;
  /** The last state known; what happened between it and the deletion may be missing. */
  onDelete?(last: T): void;
}

export interface InformerOptions extends ResourceOptions {
  readonly namespace?: string;
  readonly fieldSelector?: string;
  readonly labelSelector?: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Jitter for back-off and watch timeouts; without it there is none. */
  readonly random?: Random;
}

/**
 * Keeps a copy of a collection by list and watch. Handlers are called in the order of the events,
 * one at a time, after the store has changed. An object that was deleted and made again under its
 * name shows as a deletion and an addition, even when the watch missed the moment between.
 */
export interface Informer<T extends KubeObject> {
  readonly resource: ApiResource<T>;
  readonly lister: Lister<T>;
  /** Indexes may be added at any time. */
  addIndex(name: string, valuesOf: IndexFunction<T>): void;
  /** A handler added late gets an addition for each object already there. Gives its removal. */
  addHandler(handler: InformerHandler<T>): () => void;
  /** True once the first list is in the store. */
  hasSynced(): boolean;
  /** Resolves when {@link hasSynced} becomes true, or when the signal given to start aborts. */
  synced(): Promise<void>;
  /**
   * The revision the store is at: a write whose object carries a higher one has not been seen yet.
   * 0 before the first list.
   */
  readonly revision: number;
  /** Starting twice does nothing. */
  start(signal: AbortSignal): void;
}

export const LIST_PAGE_SIZE = 500;
const BACKOFF_INITIAL_MS = 200;
const BACKOFF_MAX_MS = 30_000;
const WATCH_TIMEOUT_SECONDS = 300;
/**
 * A server says once a minute where an idle watch stands. One that says nothing for so long may be
 * cut off: a connection that ends with its machine does not tell.
 */
export const WATCH_SILENCE_MS = 240_000;

/** An informer of its own; controllers of one process share theirs: {@link SharedInformers}. */
export function createInformer<T extends KubeObject>(
  client: Client,
  resource: ApiResource<T>,
  options: InformerOptions,
): Informer<T> {
  return new ListWatchInformer(client, resource, options);
}

class ListWatchInformer<T extends KubeObject> implements Informer<T> {
  readonly resource: ApiResource<T>;
  readonly #client: ResourceClient<T>;
  readonly #options: InformerOptions;
  readonly #logger: Logger;
  readonly #store = new ObjectStore<T>();
  readonly #handlers = new Set<InformerHandler<T>>();
  readonly #backoff: Backoff;
  readonly #firstList = Promise.withResolvers<void>();
  #started = false;
  #synced = false;
  /** Where the next watch continues; undefined asks for a new list. */
  #resourceVersion: string | undefined;
  #seenRevision = 0;

  constructor(client: Client, resource: ApiResource<T>, options: InformerOptions) {
    this.resource = resource;
    this.#client = client.resource(resource, options.namespace, { view: options.view ?? "full" });
    this.#options = options;
    this.#logger = options.logger.child({ informer: resource.resource });
    this.#backoff = new Backoff({
      initialMs: BACKOFF_INITIAL_MS,
      maxMs: BACKOFF_MAX_MS,
      random: options.random,
    });
  }

  get lister(): Lister<T> {
    return this.#store;
  }

  get revision(): number {
    return this.#seenRevision;
  }

  addIndex(name: string, valuesOf: IndexFunction<T>): void {
    this.#store.addIndex(name, valuesOf);
  }

  addHandler(handler: InformerHandler<T>): () => void {
    for (const object of this.#store.list()) this.#call(() => handler.onAdd?.(object));
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  hasSynced(): boolean {
    return this.#synced;
  }

  synced(): Promise<void> {
    return this.#firstList.promise;
  }

  start(signal: AbortSignal): void {
    if (this.#started) return;
    this.#started = true;
    signal.addEventListener("abort", () => this.#firstList.resolve(), { once: true });
    void this.#run(signal);
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (this.#resourceVersion === undefined) await this.#relist(signal);
        await this.#watch(this.#resourceVersion ?? "", signal);
      } catch (error) {
        if (signal.aborted) return;
        if (isExpired(error)) this.#resourceVersion = undefined;
        const delayMs = this.#backoff.next();
        this.#logger.debug("list or watch failed", { error: String(error), delayMs });
        await sleep(this.#options.clock, delayMs, signal);
      }
    }
  }

  async #relist(signal: AbortSignal): Promise<void> {
    const { fieldSelector, labelSelector } = this.#options;
    const selectors = {
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
    };
    const found = new Map<string, T>();
    let page = await this.#client.list({ ...selectors, limit: LIST_PAGE_SIZE, signal });
    for (;;) {
      for (const object of page.items) found.set(keyOf(object), object);
      const token = page.metadata.continue;
      if (token === undefined || token === "") break;
      page = await this.#client.list({
        ...selectors,
        limit: LIST_PAGE_SIZE,
        continue: token,
        signal,
      });
    }
    if (signal.aborted) return;
    this.#moveTo(page.metadata.resourceVersion ?? "");
    this.#replace(found);
    this.#synced = true;
    this.#firstList.resolve();
  }

  #replace(found: ReadonlyMap<string, T>): void {
    const gone = Array.from(this.#store.keys()).filter((key) => !found.has(key));
    for (const key of gone) this.#remove(key);
    for (const object of found.values()) this.#put(object);
  }

  async #watch(resourceVersion: string, signal: AbortSignal): Promise<void> {
    const { clock, random, fieldSelector, labelSelector } = this.#options;
    const timeoutSeconds = Math.ceil(WATCH_TIMEOUT_SECONDS * (1 + (random?.float() ?? 0)));
    const silence = new AbortController();
    const listen = () => clock.after(WATCH_SILENCE_MS, () => silence.abort());
    let cancel = listen();
    const startedMs = clock.monotonic();
    try {
      const events = this.#client.watch({
        ...(fieldSelector === undefined ? {} : { fieldSelector }),
        ...(labelSelector === undefined ? {} : { labelSelector }),
        resourceVersion,
        allowWatchBookmarks: true,
        timeoutSeconds,
        signal: AbortSignal.any([signal, silence.signal]),
      });
      for await (const event of events) {
        if (signal.aborted) return;
        cancel();
        cancel = listen();
        this.#apply(event);
        this.#backoff.reset();
      }
    } finally {
      cancel();
    }
    // A server that ends each watch at once must not be asked in a tight loop.
    if (!signal.aborted && clock.monotonic() - startedMs < 1000) {
      await sleep(clock, this.#backoff.next(), signal);
    }
  }

  #moveTo(resourceVersion: string): void {
    this.#resourceVersion = resourceVersion;
    this.#seenRevision = Number(resourceVersion) || this.#seenRevision;
  }

  #apply(event: WatchEvent<T>): void {
    const { resourceVersion } = event.object.metadata;
    if (resourceVersion !== undefined) this.#moveTo(resourceVersion);
    switch (event.type) {
      case "ADDED":
      case "MODIFIED":
        this.#put(event.object);
        break;
      case "DELETED":
        this.#remove(keyOf(event.object), event.object);
        break;
      case "BOOKMARK":
        break;
      default:
        this.#logger.warn("unknown watch event", { event });
    }
  }

  #put(object: T): void {
    const key = keyOf(object);
    const known = this.#store.getByKey(key);
    if (known !== undefined && known.metadata.uid !== object.metadata.uid) this.#remove(key);
    const previous = this.#store.set(object);
    if (previous === undefined) this.#notify((handler) => handler.onAdd?.(object));
    else if (previous.metadata.resourceVersion !== object.metadata.resourceVersion) {
      this.#notify((handler) => handler.onUpdate?.(previous, object));
    }
  }

  #remove(key: string, last?: T): void {
    const previous = this.#store.delete(key);
    if (previous !== undefined) this.#notify((handler) => handler.onDelete?.(last ?? previous));
  }

  #notify(call: (handler: InformerHandler<T>) => void): void {
    for (const handler of this.#handlers) this.#call(() => call(handler));
  }

  /** A handler that throws must neither stop the others nor the watch. */
  #call(handler: () => void): void {
    try {
      handler();
    } catch (error) {
      this.#logger.error("an event handler threw", { error });
    }
  }
}
