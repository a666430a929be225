import type { ApiResource, ResourceDefinition } from "../api/index.ts";
import { isStatusError, type KubeObject } from "../apimachinery/index.ts";
import type { Clock, Logger, Random } from "../lib/index.ts";
import type { KeyValue, Revision, Store, Term } from "../store/index.ts";
import { AddressPool } from "./address-pool.ts";
import { DEFAULT_TOLERATIONS, type DefaultTolerations } from "./admission/pod-defaults.ts";
import { Definitions } from "./custom-resources/definitions.ts";
import { FencedRegistry } from "./fenced-registry.ts";
import type { KeyValueStores } from "./keyvalue/keyvalue-stores.ts";
import { ReplicatedKeyValues } from "./keyvalue/replicated-key-values.ts";
import { Leading } from "./leading.ts";
import type { ListRequest, ObjectList } from "./list-page.ts";
import { definitionOf, Lookup } from "./lookup.ts";
import { holdsHeartbeats, NODE_LEASE_NAMESPACE } from "./node-lease-overlay.ts";
import type { StoredObject } from "./object-codec.ts";
import { ObjectReader } from "./object-reader.ts";
import { ObjectWatcher } from "./object-watcher.ts";
import { ObjectWriter } from "./object-writer.ts";
import { type ObjectObserver, observeObjects } from "./observe-objects.ts";
import type { DeleteRequest, ResourceRegistry } from "./resource-registry.ts";
import type { SecretCipher } from "./secret-cipher.ts";

export interface RegistryOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Where Services get their addresses, "127.43.0.0/16". */
  readonly serviceCidr: string;
  /** Where Services get their node ports, both ends included. */
  readonly nodePortRange: { readonly from: number; readonly to: number };
  readonly defaultTolerations?: DefaultTolerations;
  /** What Secrets are stored under; they are stored as they are without it. */
  readonly secretCipher?: SecretCipher;
  /** Given where the API issues tokens of ServiceAccounts: pods find one then. */
  readonly accountTokens?: "mounted";
}

/** How many objects of a collection are deleted at the same time. */
const DELETED_AT_ONCE = 64;

/** All resources over one store. */
export interface Registry {
  /** The latest revision applied here. */
  readonly revision: Revision;
  /** The range of Services' addresses, and the first one: of the kubernetes Service. */
  readonly serviceCidr: string;
  readonly kubernetesServiceIp: string;
  /** Every resource that is served now. */
  readonly definitions: Pick<Definitions, "all" | "find" | "findKind">;
  resource(definition: ResourceDefinition): ResourceRegistry;
  /** Keys and values of components, which are no objects. */
  readonly keyValues: KeyValueStores;
  /** What is here now, read synchronously and without asking whether it is the latest. */
  readonly present: PresentObjects;
  /** Keeps the observer in step with all objects of a kind until the store closes. */
  observe<T extends KubeObject>(resource: ApiResource<T>, observer: ObjectObserver<T>): void;
  /**
   * This registry for one request: what it writes counts only in the given term, or else in the one
   * that is now, so that nothing decided under one leader is written under another.
   */
  fenced(term?: Term): Registry;
  /**
   * Begins a term: reads who holds which address and port, and gives every node a full lease
   * duration. A term that nobody began begins with its first write. Rejects with 503 when this
   * server does not lead in that term.
   */
  lead(term: Term): Promise<void>;
  /** Forgets what only a leader may know. */
  follow(): void;
}

export type PresentObjects = Pick<Lookup, "find" | "all">;

/** A registry over an open store. It writes whenever the store leads. */
export function createRegistry(options: RegistryOptions): Registry {
  return new StoreRegistry(options);
}

class StoreRegistry implements Registry {
  readonly #options: RegistryOptions;
  readonly #lookup: Lookup;
  readonly #leading: Leading;
  /** By identity: a custom resource whose definition changes becomes another one. */
  readonly #resources = new WeakMap<ResourceDefinition, ResourceRegistry>();
  readonly kubernetesServiceIp: string;
  readonly keyValues: KeyValueStores;
  readonly definitions: Definitions;

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#lookup = new Lookup(options.store, options.secretCipher);
    this.definitions = new Definitions(this.#lookup);
    this.#leading = new Leading({ ...options, lookup: this.#lookup });
    const { store, clock } = options;
    const own = { lookup: this.#lookup, leading: this.#leading };
    this.keyValues = new ReplicatedKeyValues({ store, clock, ...own });
    this.kubernetesServiceIp = new AddressPool(options.serviceCidr, options.random).first;
  }

  get revision(): Revision {
    return this.#options.store.revision;
  }

  get serviceCidr(): string {
    return this.#options.serviceCidr;
  }

  get present(): PresentObjects {
    return this.#lookup;
  }

  resource(definition: ResourceDefinition): ResourceRegistry {
    let resource = this.#resources.get(definition);
    if (resource === undefined) {
      resource = this.#build(definition);
      this.#resources.set(definition, resource);
    }
    return resource;
  }

  observe<T extends KubeObject>(resource: ApiResource<T>, observer: ObjectObserver<T>): void {
    const { store, clock, logger } = this.#options;
    const how = { store, clock, logger, lookup: this.#lookup };
    observeObjects(definitionOf(resource), observer, how);
  }

  fenced(term = this.#leading.term): Registry {
    return new FencedRegistry(this, term);
  }

  async lead(term: Term): Promise<void> {
    this.#leading.in(term);
  }

  follow(): void {
    this.#leading.forget();
  }

  #build(definition: ResourceDefinition): ResourceRegistry {
    const { store, clock, random, accountTokens } = this.#options;
    const codec = this.#lookup.codec(definition);
    const leading = this.#leading;
    const view = holdsHeartbeats(definition, NODE_LEASE_NAMESPACE)
      ? (kv: KeyValue): StoredObject => leading.current?.heartbeats.view(kv) ?? codec.stored(kv)
      : (kv: KeyValue): StoredObject => codec.stored(kv);
    const common = { definition, store, clock, codec };
    const reader = new ObjectReader({ ...common, view });
    const watcher = new ObjectWatcher({ ...common, view });
    const writer = new ObjectWriter({
      ...common,
      random,
      lookup: this.#lookup,
      leading,
      tolerations: {
        ...(this.#options.defaultTolerations ?? DEFAULT_TOLERATIONS),
        ...(accountTokens === undefined ? {} : { accountTokens }),
      },
    });
    return new GenericResource(definition, reader, watcher, writer);
  }
}

class GenericResource implements ResourceRegistry {
  readonly definition: ResourceDefinition;
  readonly #writer: ObjectWriter;
  readonly get: ResourceRegistry["get"];
  readonly list: ResourceRegistry["list"];
  readonly watch: ResourceRegistry["watch"];
  readonly create: ResourceRegistry["create"];
  readonly update: ResourceRegistry["update"];
  readonly delete: ResourceRegistry["delete"];

  constructor(
    definition: ResourceDefinition,
    reader: ObjectReader,
    watcher: ObjectWatcher,
    writer: ObjectWriter,
  ) {
    this.definition = definition;
    this.#writer = writer;
    this.get = (...given) => reader.get(...given);
    this.list = (request) => reader.list(request);
    this.watch = (request) => watcher.watch(request);
    this.create = (...given) => writer.create(...given);
    this.update = (...given) => writer.update(...given);
    this.delete = (...given) => writer.delete(...given);
  }

  async deleteCollection(request: ListRequest, how: DeleteRequest = {}): Promise<ObjectList> {
    const { continue: _continue, limit: _limit, ...all } = request;
    const list = await this.list(all);
    // Several at a time, so that they share the store's syncs.
    for (let from = 0; from < list.items.length; from += DELETED_AT_ONCE) {
      const some = list.items.slice(from, from + DELETED_AT_ONCE);
      await Promise.all(some.map((stored) => this.#deleteOne(stored, how)));
    }
    return list;
  }

  async #deleteOne({ object }: StoredObject, how: DeleteRequest): Promise<void> {
    const { namespace = "", name = "" } = object.metadata;
    try {
      await this.#writer.delete(namespace, name, how);
    } catch (error) {
      // Somebody else was faster: what matters is that it is gone.
      if (!isStatusError(error, "NotFound")) throw error;
    }
  }
}
