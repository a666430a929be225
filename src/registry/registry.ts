import { type ResourceDefinition, SERVICES } from "../api/index.ts";
import { groupResourceText, isStatusError } from "../apimachinery/index.ts";
import type { Clock, Logger, Random } from "../lib/index.ts";
import type { KeyValue, Revision, Store } from "../store/index.ts";
import { AddressPool, NumberPool } from "./address-pool.ts";
import { EventLease } from "./event-lease.ts";
import type { ListRequest, ObjectList } from "./list-page.ts";
import { Lookup } from "./lookup.ts";
import { holdsHeartbeats, NodeLeaseOverlay } from "./node-lease-overlay.ts";
import type { StoredObject } from "./object-codec.ts";
import { ObjectReader } from "./object-reader.ts";
import { ObjectWatcher } from "./object-watcher.ts";
import { ObjectWriter } from "./object-writer.ts";
import type { DeleteRequest, ResourceRegistry } from "./resource-registry.ts";
import { jobStrategy } from "./strategies/job-strategy.ts";
import { namespaceStrategy } from "./strategies/namespace-strategy.ts";
import { podStrategy } from "./strategies/pod-strategy.ts";
import { secretStrategy } from "./strategies/secret-strategy.ts";
import { ServiceStrategy } from "./strategies/service-strategy.ts";
import type { Strategy } from "./strategy.ts";

export interface RegistryOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Where Services get their addresses, "127.43.0.0/16". */
  readonly serviceCidr: string;
  /** Where Services get their node ports, both ends included. */
  readonly nodePortRange: { readonly from: number; readonly to: number };
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
  resource(definition: ResourceDefinition): ResourceRegistry;
}

/** Reads the allocations that exist from the store, so the store must be open and up to date. */
export function createRegistry(options: RegistryOptions): Registry {
  return new StoreRegistry(options);
}

class StoreRegistry implements Registry {
  readonly #options: RegistryOptions;
  readonly #lookup: Lookup;
  readonly #addresses: AddressPool;
  readonly #eventLease: EventLease;
  readonly #strategies: ReadonlyMap<string, Strategy>;
  readonly #resources = new Map<ResourceDefinition, ResourceRegistry>();

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#lookup = new Lookup(options.store);
    this.#addresses = new AddressPool(options.serviceCidr, options.random);
    this.#eventLease = new EventLease(options.store, options.clock);
    this.#strategies = this.#makeStrategies();
  }

  get revision(): Revision {
    return this.#options.store.revision;
  }

  get serviceCidr(): string {
    return this.#options.serviceCidr;
  }

  get kubernetesServiceIp(): string {
    return this.#addresses.first;
  }

  resource(definition: ResourceDefinition): ResourceRegistry {
    let resource = this.#resources.get(definition);
    if (resource === undefined) {
      resource = this.#build(definition);
      this.#resources.set(definition, resource);
    }
    return resource;
  }

  #makeStrategies(): ReadonlyMap<string, Strategy> {
    const { nodePortRange, random } = this.#options;
    const services = new ServiceStrategy(
      {
        addresses: this.#addresses,
        nodePorts: new NumberPool(nodePortRange, random),
        nodePortRange: `${nodePortRange.from}-${nodePortRange.to}`,
      },
      this.#lookup.all(SERVICES, ""),
    );
    return new Map<string, Strategy>([
      ["namespaces", namespaceStrategy],
      ["pods", podStrategy],
      ["secrets", secretStrategy],
      ["services", services],
      ["jobs.batch", jobStrategy],
    ]);
  }

  #build(definition: ResourceDefinition): ResourceRegistry {
    const { store, clock, random } = this.#options;
    const codec = this.#lookup.codec(definition);
    const leases = holdsHeartbeats(definition, "kube-node-lease");
    const overlay = leases ? new NodeLeaseOverlay(codec, clock) : undefined;
    const view = (kv: KeyValue): StoredObject => overlay?.view(kv) ?? codec.stored(kv);
    const common = { definition, store, clock, codec };
    const reader = new ObjectReader({ ...common, view });
    const watcher = new ObjectWatcher({ ...common, view });
    const writer = new ObjectWriter({
      ...common,
      random,
      lookup: this.#lookup,
      strategy: this.#strategies.get(groupResourceText(definition)) ?? {},
      heartbeats: (namespace) => holdsHeartbeats(definition, namespace),
      ...(definition.storage.resource === "events" ? { lease: this.#eventLease } : {}),
      ...(overlay === undefined ? {} : { overlay }),
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
