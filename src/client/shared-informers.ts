import type { Clock, Logger, Random } from "../lib/index.ts";
import type { Client, ResourceOptions } from "./client.ts";
import { createInformer } from "./informer.ts";
import type { Informer } from "./informer.ts";
import type { KubeObject } from "../apimachinery/index.ts";
import type { ApiResource } from "./resources.ts";

export interface SharedInformersOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** One informer, and so one watch, a kind for all who ask in this process. */
export class SharedInformers {
  readonly #options: SharedInformersOptions;
  readonly #informers = new Map<string, Informer<KubeObject>>();
  #signal: AbortSignal | undefined;

  constructor(options: SharedInformersOptions) {
    this.#options = options;
  }

  /** The shared informer of a resource in all namespaces; started with the others, or at once. */
  for<T extends KubeObject>(resource: ApiResource<T>, options: ResourceOptions = {}): Informer<T> {
    const view = options.view ?? "full";
    const key = [resource.group, resource.version, resource.resource, view].join("/");
    const known = this.#informers.get(key);
    if (known !== undefined) return known as unknown as Informer<T>;
    const { client, clock, random, logger } = this.#options;
    const informer = createInformer(client, resource, { clock, random, logger, view });
    this.#informers.set(key, informer);
    if (this.#signal !== undefined) informer.start(this.#signal);
    return informer;
  }

  /**
   * For readers of metadata alone: the full informer when somebody has asked for it, so that the
   * collection is not kept twice, and else one that holds only metadata.
   */
  forMetadata(resource: ApiResource<KubeObject>): Informer<KubeObject> {
    const full = [resource.group, resource.version, resource.resource, "full"].join("/");
    return this.#informers.get(full) ?? this.for(resource, { view: "metadata" });
  }

  start(signal: AbortSignal): void {
    this.#signal = signal;
    for (const informer of this.#informers.values()) informer.start(signal);
  }

  /** Resolves when every informer asked for so far has its first list. */
  async synced(): Promise<void> {
    await Promise.all([...this.#informers.values()].map((informer) => informer.synced()));
  }
}
