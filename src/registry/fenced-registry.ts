import type { ResourceDefinition } from "../api/index.ts";
import type { Revision, Term } from "../store/index.ts";
import { fencedKeyValues } from "./keyvalue/fenced-key-values.ts";
import type { KeyValueStores } from "./keyvalue/keyvalue-stores.ts";
import type { Registry } from "./registry.ts";
import type { ResourceRegistry } from "./resource-registry.ts";

/** A registry as one request sees it: what it writes counts only in the term that it began in. */
export class FencedRegistry implements Registry {
  readonly #registry: Registry;
  readonly #term: Term;

  constructor(registry: Registry, term: Term) {
    this.#registry = registry;
    this.#term = term;
  }

  get revision(): Revision {
    return this.#registry.revision;
  }

  get serviceCidr(): string {
    return this.#registry.serviceCidr;
  }

  get kubernetesServiceIp(): string {
    return this.#registry.kubernetesServiceIp;
  }

  get keyValues(): KeyValueStores {
    return fencedKeyValues(this.#registry.keyValues, this.#term);
  }

  get definitions(): Registry["definitions"] {
    return this.#registry.definitions;
  }

  get present(): Registry["present"] {
    return this.#registry.present;
  }

  resource(definition: ResourceDefinition): ResourceRegistry {
    const resource = this.#registry.resource(definition);
    const term = this.#term;
    return {
      definition,
      get: resource.get,
      list: resource.list,
      watch: resource.watch,
      create: (namespace, object, options) =>
        resource.create(namespace, object, { ...options, term }),
      update: (namespace, name, change, options) =>
        resource.update(namespace, name, change, { ...options, term }),
      delete: (namespace, name, request) => resource.delete(namespace, name, { ...request, term }),
      deleteCollection: (list, request) => resource.deleteCollection(list, { ...request, term }),
    };
  }

  fenced(): Registry {
    return this;
  }

  observe: Registry["observe"] = (resource, observer) => this.#registry.observe(resource, observer);

  lead(term: Term): Promise<void> {
    return this.#registry.lead(term);
  }

  follow(): void {
    this.#registry.follow();
  }
}
