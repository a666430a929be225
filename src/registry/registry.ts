import type { ResourceDefinition } from "../api/index.ts";
import type { Clock, Logger, Random } from "../lib/index.ts";
import type { Revision, Store } from "../store/index.ts";
import type { ResourceRegistry } from "./resource-registry.ts";

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

/** All resources over one store. */
export interface Registry {
  /** The latest revision applied here. */
  readonly revision: Revision;
  readonly serviceCidr: string;
  resource(definition: ResourceDefinition): ResourceRegistry;
}

/** Reads the allocations that exist from the store, so the store must be open and up to date. */
export function createRegistry(_options: RegistryOptions): Registry {
  throw new Error("the registry is not built yet");
}
