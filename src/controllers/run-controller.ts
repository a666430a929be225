import { runWorkers, WorkQueue } from "../client/index.ts";
import type { Informer, ReconcileResult } from "../client/index.ts";
import type { KubeObject } from "../apimachinery/index.ts";
import type { ControllerContext } from "./controller-context.ts";

/** Objects of one kind worked on at the same time by one controller. */
const DEFAULT_CONCURRENCY = 8;

export interface ControllerSpec {
  readonly name: string;
  readonly concurrency?: number;
  /** Every informer the controller reads: work starts when all have their first list. */
  readonly informers: readonly Pick<Informer<KubeObject>, "synced">[];
  /** Every key there is, asked for when the queue had to refuse some. */
  readonly allKeys: () => Iterable<string>;
  readonly reconcile: (key: string) => Promise<ReconcileResult | void>;
}

/** Makes the queue of a controller and works on it once the caches are filled. */
export function runController(context: ControllerContext, spec: ControllerSpec): WorkQueue {
  const { clock, signal } = context;
  const logger = context.logger.child({ controller: spec.name });
  const queue: WorkQueue = new WorkQueue({
    clock,
    onRecovered: () => {
      for (const key of spec.allKeys()) queue.add(key);
    },
  });
  const start = async (): Promise<void> => {
    await Promise.all(spec.informers.map((informer) => informer.synced()));
    const concurrency = spec.concurrency ?? DEFAULT_CONCURRENCY;
    await runWorkers(queue, { concurrency, signal, logger }, spec.reconcile);
  };
  start().catch((error: unknown) => logger.error("controller ended", { error: String(error) }));
  return queue;
}
