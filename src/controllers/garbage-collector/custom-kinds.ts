import type { KubeObject } from "../../apimachinery/index.ts";
import { createInformer, CUSTOM_RESOURCE_DEFINITIONS } from "../../client/index.ts";
import type { DiscoveredResource, Informer } from "../../client/index.ts";
import type { ControllerContext } from "../controller-context.ts";

interface Watched {
  readonly informer: Informer<KubeObject>;
  readonly stop: AbortController;
}

/** Custom resources, whose kinds come and go: each is watched by an informer that can be ended. */
export class CustomKinds {
  readonly #context: ControllerContext;
  readonly #definitions;
  readonly #watched = new Map<string, Watched>();

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#definitions = context.informers.for(CUSTOM_RESOURCE_DEFINITIONS);
  }

  synced(): Promise<void> {
    return this.#definitions.synced();
  }

  /** Calls back when kinds may have come or gone. */
  onChange(callback: () => void): void {
    this.#definitions.addHandler({
      onAdd: callback,
      onUpdate: callback,
      onDelete: callback,
    });
  }

  has({ group, resource }: DiscoveredResource): boolean {
    return this.#definitions.lister.get("", `${resource}.${group}`) !== undefined;
  }

  /** A new informer; undefined when the resource is watched already. */
  watch(resource: DiscoveredResource): Informer<KubeObject> | undefined {
    const key = `${resource.resource}.${resource.group}`;
    const known = this.#watched.get(key);
    if (known?.informer.resource.version === resource.version) return undefined;
    known?.stop.abort();
    const { client, clock, random, logger, signal } = this.#context;
    const options = { clock, random, logger, view: "metadata" } as const;
    const informer = createInformer<KubeObject>(client, resource, options);
    const stop = new AbortController();
    this.#watched.set(key, { informer, stop });
    informer.start(AbortSignal.any([signal, stop.signal]));
    return informer;
  }

  /** Ends the informers of kinds that are no more; gives the objects they knew last. */
  forgetOthers(present: readonly DiscoveredResource[]): readonly KubeObject[] {
    const keys = new Set(present.map(({ group, resource }) => `${resource}.${group}`));
    const orphans: KubeObject[] = [];
    for (const [key, { informer, stop }] of this.#watched) {
      if (keys.has(key)) continue;
      stop.abort();
      this.#watched.delete(key);
      orphans.push(...informer.lister.list());
    }
    return orphans;
  }
}
