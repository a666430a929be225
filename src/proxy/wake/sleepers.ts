import { ApiError, DEPLOYMENTS, type Client } from "../../client/index.ts";
import type { CancelTimer, Clock, Logger } from "../../lib/index.ts";
import type { RoutingTable, ServicePort } from "../routing/routing-table.ts";

/** On a Service: its pods' Deployment is scaled up from zero for who asks the Service. */
export const WAKES_ANNOTATION = "kubun.dev/wakes-deployment";

/** How long a request or connection waits for an endpoint. */
export const HOLD_MS = 30_000;
/** How often one request or connection waits: the pods of a Deployment go one by one. */
export const MAX_HOLDS = 4;
/** Requests and connections that wait for one port of a Service; further ones are refused. */
export const MAX_HELD_PER_PORT = 512;
/** In all. */
export const MAX_HELD = 4_096;
/** Bytes of requests that were read before they had to wait. */
export const MAX_HELD_BYTES = 16 * 1024 * 1024;
/** The Deployment is asked for again while nobody is ready: it may just have been put to sleep. */
const ASK_AGAIN_MS = 1_000;
const UNPROCESSABLE = 422;

/** Who waits for an endpoint. */
export interface Waiting {
  /** A table with an endpoint is in use. */
  onReady(): void;
  /** Nobody came in time. */
  onLate(): void;
}

export type HoldResult =
  | { readonly type: "held"; readonly cancel: () => void }
  /** One of the limits is reached. */
  | { readonly type: "full" }
  /** Nothing can be woken. */
  | { readonly type: "awake" };

interface Held {
  readonly waiting: Waiting;
  readonly bytes: number;
  /** What had no endpoint that answers. */
  readonly failed: ServicePort;
  readonly cancelTimer: CancelTimer;
}

export interface SleepersOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly maxHeldPerPort?: number;
  readonly maxHeldBytes?: number;
}

/** Keeps requests for Deployments that are scaled to zero, and asks for a replica. */
export class Sleepers {
  readonly #options: SleepersOptions;
  /** By port key. */
  readonly #held = new Map<string, Set<Held>>();
  /** By port key: when it is asked for again. */
  readonly #asking = new Map<string, CancelTimer>();
  #count = 0;
  #bytes = 0;

  constructor(options: SleepersOptions) {
    this.#options = options;
  }

  /** Requests and connections that wait. */
  get count(): number {
    return this.#count;
  }

  /** `port` is what was tried: what comes instead of it ends the wait. */
  hold(port: ServicePort, bytes: number, waiting: Waiting): HoldResult {
    if (port.wakes === undefined) return { type: "awake" };
    const { clock, maxHeldPerPort = MAX_HELD_PER_PORT } = this.#options;
    const { maxHeldBytes = MAX_HELD_BYTES } = this.#options;
    const list = this.#held.get(port.key) ?? new Set<Held>();
    const full = list.size >= maxHeldPerPort || this.#count >= MAX_HELD;
    if (full || this.#bytes + bytes > maxHeldBytes) return { type: "full" };
    const held: Held = {
      waiting,
      bytes,
      failed: port,
      cancelTimer: clock.after(HOLD_MS, () => {
        if (this.#remove(port.key, held)) waiting.onLate();
      }),
    };
    list.add(held);
    this.#held.set(port.key, list);
    this.#count++;
    this.#bytes += bytes;
    this.#ask(port.key, port.namespace, port.wakes);
    return { type: "held", cancel: () => void this.#remove(port.key, held) };
  }

  /** The ports that somebody waits for. */
  *ports(): Iterable<ServicePort> {
    for (const [first] of this.#held.values()) if (first !== undefined) yield first.failed;
  }

  /** Lets go on what has an endpoint now. */
  update(table: RoutingTable): void {
    for (const [key, list] of this.#held) {
      const port = table.ports.get(key);
      if (port === undefined || port.endpoints.length === 0) continue;
      for (const held of list) {
        if (held.failed !== port && this.#remove(key, held)) held.waiting.onReady();
      }
      // It is awake: who finds it asleep the next time asks at once.
      if (!this.#held.has(key)) this.#forgetAsking(key);
    }
  }

  #forgetAsking(key: string): void {
    this.#asking.get(key)?.();
    this.#asking.delete(key);
  }

  #remove(key: string, held: Held): boolean {
    const list = this.#held.get(key);
    if (list?.delete(held) !== true) return false;
    if (list.size === 0) this.#held.delete(key);
    held.cancelTimer();
    this.#count--;
    this.#bytes -= held.bytes;
    return true;
  }

  /** One replica for a Deployment that has none; one that has some is left alone. */
  #ask(key: string, namespace: string, deployment: string): void {
    const { client, clock, logger } = this.#options;
    if (this.#asking.has(key)) return;
    const patch = [
      { op: "test", path: "/spec/replicas", value: 0 },
      { op: "replace", path: "/spec/replicas", value: 1 },
    ];
    client
      .resource(DEPLOYMENTS, namespace)
      .patch(deployment, patch, { type: "json", subresource: "scale" })
      .catch((error: unknown) => {
        // It has replicas already, which only have to become ready.
        if (error instanceof ApiError && error.code === UNPROCESSABLE) return;
        const what = `${namespace}/${deployment}`;
        logger.warn("a Deployment could not be woken", { what, error: String(error) });
      });
    const cancel = clock.after(ASK_AGAIN_MS, () => {
      this.#asking.delete(key);
      if (this.#held.has(key)) this.#ask(key, namespace, deployment);
    });
    this.#asking.set(key, cancel);
  }
}
