import type { ResourceDefinition } from "../api/index.ts";
import { badRequest, expired, notFound } from "../apimachinery/index.ts";
import type { Clock } from "../lib/index.ts";
import { type KeyValue, type Revision, type Store, StoreError } from "../store/index.ts";
import { type ContinueToken, decodeContinue, encodeContinue } from "./continue-token.ts";
import type { ListRequest, ObjectList } from "./list-page.ts";
import type { StoredObject } from "./object-codec.ts";
import { latestState } from "./latest-state.ts";
import { objectFilter, type ObjectFilter } from "./object-filter.ts";
import type { ReadOptions } from "./resource-registry.ts";
import { reachRevision } from "./reach-revision.ts";
import { assertListOptions, parseResourceVersion } from "./resource-version.ts";
import { refusalOf } from "./store-refusal.ts";
import { namespacePrefix, objectKey } from "./storage-key.ts";

export interface ObjectReaderOptions {
  readonly definition: ResourceDefinition;
  readonly store: Store;
  readonly clock: Clock;
  /** How an object reads now, where that is more than what is stored. */
  readonly view: (kv: KeyValue) => StoredObject;
}

/** Keys are read from the state in chunks of at least this many when a selector thins them out. */
const MIN_CHUNK = 500;

interface Source {
  readonly prefix: string;
  readonly revision: Revision;
  readonly after: string | undefined;
}

interface Page {
  readonly items: StoredObject[];
  /** The last key looked at when there are more behind it. */
  readonly more: string | undefined;
}

/** The get and list verbs of one resource. */
export class ObjectReader {
  readonly #definition: ResourceDefinition;
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #view: (kv: KeyValue) => StoredObject;

  constructor(options: ObjectReaderOptions) {
    this.#definition = options.definition;
    this.#store = options.store;
    this.#clock = options.clock;
    this.#view = options.view;
  }

  async get(namespace: string, name: string, options: ReadOptions = {}): Promise<StoredObject> {
    const wanted = parseResourceVersion(options.resourceVersion);
    if (wanted !== 0) await latestState(this.#store);
    if (wanted !== undefined) await this.#reached(wanted);
    const kv = this.#store.get(objectKey(this.#definition, namespace, name));
    if (kv === undefined) throw notFound(this.#definition, name);
    return this.#view(kv);
  }

  async list(request: ListRequest): Promise<ObjectList> {
    assertListOptions(request);
    const filter = objectFilter(this.#definition, request);
    const prefix = namespacePrefix(this.#definition, request.namespace);
    try {
      const given = request.limit ?? 0;
      if (request.continue !== undefined && request.continue !== "") {
        return await this.#continued(request, decodeContinue(request.continue), filter, given);
      }
      // "Whatever is here" is not paged, as Kubernetes' watch cache does not: a page's token would
      // name a revision, and the caller said that it does not care which.
      const limit = request.resourceVersion === "0" ? 0 : given;
      const revision = await this.#revisionToShow(request);
      const named = this.#named(request.namespace, revision, filter);
      if (named !== undefined) return { revision, items: named };
      return await this.#page({ prefix, revision, after: undefined }, filter, limit);
    } catch (error) {
      throw refusalOf(error, this.#definition, "");
    }
  }

  /** A selection by name, as `kubectl wait` and `get -w` make it, needs no look at the others. */
  #named(
    namespace: string,
    revision: Revision,
    filter: ObjectFilter | undefined,
  ): StoredObject[] | undefined {
    const definition = this.#definition;
    const scoped = !definition.namespaced || namespace !== "";
    if (filter?.name === undefined || !scoped) return undefined;
    if (revision !== this.#store.revision) return undefined;
    const kv = this.#store.get(objectKey(definition, namespace, filter.name));
    return (kv === undefined ? [] : [this.#view(kv)]).filter(({ object }) =>
      filter.matches(object),
    );
  }

  async #revisionToShow(request: ListRequest): Promise<Revision> {
    const wanted = parseResourceVersion(request.resourceVersion);
    if (wanted === 0) return this.#store.revision;
    await latestState(this.#store);
    if (wanted === undefined) return this.#store.revision;
    await this.#reached(wanted);
    return request.resourceVersionMatch === "Exact" ? wanted : this.#store.revision;
  }

  async #continued(
    request: ListRequest,
    token: ContinueToken,
    filter: ObjectFilter | undefined,
    limit: number,
  ): Promise<ObjectList> {
    const version = request.resourceVersion ?? "";
    if (version !== "" && version !== "0") {
      throw badRequest("specifying resource version is not allowed when using continue");
    }
    const prefix = namespacePrefix(this.#definition, request.namespace);
    const revision = token.revision < 0 ? this.#store.revision : token.revision;
    try {
      return await this.#page({ prefix, revision, after: prefix + token.after }, filter, limit);
    } catch (error) {
      if (error instanceof StoreError && error.code === "compacted") throw expiredToken(token);
      throw error;
    }
  }

  #reached(wanted: Revision): Promise<void> {
    return reachRevision(wanted, { store: this.#store, clock: this.#clock });
  }

  async #page(
    source: Source,
    filter: ObjectFilter | undefined,
    limit: number,
  ): Promise<ObjectList> {
    const { prefix, revision } = source;
    // The count must be of the same moment as the page, so it is taken before anything awaits.
    const total = revision === this.#store.revision ? this.#store.count(prefix) : undefined;
    const page =
      filter === undefined
        ? await this.#plain(source, limit)
        : await this.#filtered(source, filter, limit);
    if (page.more === undefined) return { revision, items: page.items };
    const token = encodeContinue({ revision, after: page.more.slice(prefix.length) });
    const counted = filter === undefined && source.after === undefined && total !== undefined;
    const remaining = counted ? { remainingItemCount: total - page.items.length } : {};
    return { revision, items: page.items, continue: token, ...remaining };
  }

  async #plain(source: Source, limit: number): Promise<Page> {
    const kvs = await this.#range(source, limit === 0 ? undefined : limit + 1);
    const shown = limit === 0 ? kvs : kvs.slice(0, limit);
    const more = shown.length < kvs.length ? shown.at(-1)?.key : undefined;
    return { items: shown.map(this.#view), more };
  }

  async #filtered(source: Source, filter: ObjectFilter, limit: number): Promise<Page> {
    const items: StoredObject[] = [];
    const chunk = limit === 0 ? undefined : Math.max(limit, MIN_CHUNK);
    for (let after = source.after; ;) {
      const kvs = await this.#range({ ...source, after }, chunk);
      for (const [index, kv] of kvs.entries()) {
        const stored = this.#view(kv);
        if (!filter.matches(stored.object)) continue;
        items.push(stored);
        if (items.length !== limit) continue;
        const last = index === kvs.length - 1 && kvs.length !== chunk;
        return { items, more: last ? undefined : kv.key };
      }
      if (chunk === undefined || kvs.length < chunk) return { items, more: undefined };
      after = kvs.at(-1)?.key;
    }
  }

  /** From memory for the present, from the history for the past. */
  async #range(source: Source, limit: number | undefined): Promise<readonly KeyValue[]> {
    const { prefix, revision, after } = source;
    const options = {
      ...(limit === undefined ? {} : { limit }),
      ...(after === undefined ? {} : { after }),
    };
    return revision === this.#store.revision
      ? this.#store.list(prefix, options)
      : await this.#store.listAt(prefix, revision, options);
  }
}

function expiredToken(token: ContinueToken): Error {
  const error = expired(
    "The provided continue parameter is too old to display a consistent list result. You can " +
      "start a new list without the continue parameter, or use the continue token in this " +
      "response to retrieve the remainder of the results. Continuing with the provided token " +
      "results in an inconsistent list: objects that were created, modified, or deleted between " +
      "the time the first chunk was returned and now may show up in the list.",
  );
  const fresh = encodeContinue({ revision: -1 as Revision, after: token.after });
  error.status.metadata = { ...error.status.metadata, continue: fresh };
  return error;
}
