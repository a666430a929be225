import type { Event, ObjectReference } from "../api/index.ts";
import { rfc3339 } from "../apimachinery/index.ts";
import { sleep } from "../lib/index.ts";
import type { Clock, Logger, Random } from "../lib/index.ts";
import { isNotFound } from "./api-error.ts";
import { isTransient } from "./client.ts";
import type { Client } from "./client.ts";
import { EventCorrelator } from "./event-correlator.ts";
import type { KubeObject } from "../apimachinery/index.ts";
import { EVENTS } from "./resources.ts";

export type EventType = "Normal" | "Warning";

/** Tells users what happened to an object, as Events. Recording never throws and never waits. */
export interface EventRecorder {
  /** `object` needs apiVersion and kind, or be a reference: give an ObjectReference then. */
  event(
    object: KubeObject | ObjectReference,
    type: EventType,
    reason: string,
    message: string,
  ): void;
  /** Resolves when everything recorded so far was sent or given up. */
  flushed(): Promise<void>;
}

export interface EventRecorderOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random?: Random;
  /** Who speaks: `replicaset-controller`, `kubelet`. */
  readonly component: string;
  /** The node it speaks from. */
  readonly host?: string;
}

/** Events waiting to be sent; more are dropped, because events are not worth memory. */
export const MAX_PENDING_EVENTS = 10_000;
/**
 * Events sent at once, and in the long run: half of what Kubernetes' kubelet allows itself, because
 * here who starts the pods pays for the events as well. They were three of seven writes a pod.
 */
export const EVENT_BURST = 50;
export const EVENT_INTERVAL_MS = 40;
const MAX_ATTEMPTS = 3;
const RETRY_DELAY_MS = 1000;
const MAX_MESSAGE_LENGTH = 1024;

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  return new QueueingRecorder(options);
}

/** What an Event says about whom; refuses what has neither kind nor name. */
export function objectReference(object: KubeObject | ObjectReference): ObjectReference | undefined {
  const reference = "metadata" in object ? referenceTo(object) : object;
  return reference.kind && reference.name ? reference : undefined;
}

function referenceTo(object: KubeObject): ObjectReference {
  const { namespace, name, uid, resourceVersion } = object.metadata;
  return {
    ...(object.apiVersion === undefined ? {} : { apiVersion: object.apiVersion }),
    ...(object.kind === undefined ? {} : { kind: object.kind }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(name === undefined ? {} : { name }),
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
}

class QueueingRecorder implements EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #correlator = new EventCorrelator();
  readonly #pending: Event[] = [];
  #sequence = 0;
  /** When an even flow of events would have sent the last one; behind now when fewer came. */
  #flowMs = -Infinity;
  #sender: Promise<void> | undefined;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  event(
    object: KubeObject | ObjectReference,
    type: EventType,
    reason: string,
    message: string,
  ): void {
    const involvedObject = objectReference(object);
    if (involvedObject === undefined) {
      this.#options.logger.warn("an event about something without kind or name", { reason });
      return;
    }
    if (this.#pending.length >= MAX_PENDING_EVENTS) return;
    const text = message.slice(0, MAX_MESSAGE_LENGTH);
    this.#pending.push(this.#compose(involvedObject, type, reason, text));
    this.#sender ??= this.#send();
  }

  async flushed(): Promise<void> {
    while (this.#sender !== undefined) await this.#sender;
  }

  #compose(
    involvedObject: ObjectReference,
    type: EventType,
    reason: string,
    message: string,
  ): Event {
    const { clock, component, host } = this.#options;
    const now = rfc3339(clock.now());
    return {
      apiVersion: "v1",
      kind: "Event",
      metadata: {
        name: this.#nameFor(involvedObject),
        // Events about what is cluster-wide live in the default namespace.
        namespace: involvedObject.namespace || "default",
      },
      involvedObject,
      type,
      reason,
      message,
      count: 1,
      firstTimestamp: now,
      lastTimestamp: now,
      source: { component, ...(host === undefined ? {} : { host }) },
      reportingComponent: component,
      reportingInstance: host ?? "",
    };
  }

  #nameFor(object: ObjectReference): string {
    const { clock, random } = this.#options;
    // Names only have to differ: time in the high digits, and what makes two moments differ below.
    const low = random === undefined ? this.#sequence++ : Math.floor(random.float() * 0x10_0000);
    const stamp = BigInt(Math.floor(clock.now())) * 0x10_0000n + BigInt(low % 0x10_0000);
    return `${(object.name ?? "").slice(0, 230)}.${stamp.toString(16).padStart(16, "0")}`;
  }

  async #send(): Promise<void> {
    // Lets the caller finish first: recording is never on the path of the work it tells about.
    await Promise.resolve();
    for (let event = this.#pending.shift(); event !== undefined; event = this.#pending.shift()) {
      try {
        await this.#deliver(event);
      } catch (error) {
        const { reason, involvedObject } = event;
        this.#options.logger.debug("event not recorded", {
          reason,
          object: involvedObject.name,
          error: String(error),
        });
      }
    }
    // In the same turn as the last look: an event between the two would wait for the next one.
    this.#sender = undefined;
  }

  /** Hundreds of pods that start come first; what is told about them has time. */
  async #takeTurn(): Promise<void> {
    const { clock } = this.#options;
    const nowMs = clock.monotonic();
    const burstMs = EVENT_BURST * EVENT_INTERVAL_MS;
    this.#flowMs = Math.max(this.#flowMs, nowMs - burstMs) + EVENT_INTERVAL_MS;
    if (this.#flowMs > nowMs) await sleep(clock, this.#flowMs - nowMs);
  }

  async #deliver(event: Event): Promise<void> {
    const { clock } = this.#options;
    const verdict = this.#correlator.correlate(event, clock.monotonic());
    if (verdict.type === "drop") return;
    await this.#takeTurn();
    for (let attempt = 1; ; attempt++) {
      try {
        const stored =
          verdict.type === "count"
            ? await this.#count(verdict.event)
            : await this.#create(verdict.event);
        this.#correlator.stored(verdict.event, stored.metadata.name ?? "");
        return;
      } catch (error) {
        if (attempt >= MAX_ATTEMPTS || !isTransient(error)) throw error;
        await sleep(clock, RETRY_DELAY_MS * attempt);
      }
    }
  }

  #create(event: Event): Promise<Event> {
    const { client } = this.#options;
    return client.resource(EVENTS, event.metadata.namespace).create(event);
  }

  /** Raises the count of an event already stored; makes it anew when it has expired meanwhile. */
  async #count(event: Event): Promise<Event> {
    const { name = "", namespace } = event.metadata;
    const { count = 1, lastTimestamp = "", message = "" } = event;
    try {
      return await this.#options.client
        .resource(EVENTS, namespace)
        .patch(name, { count, lastTimestamp, message }, { type: "merge" });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      const metadata = { ...event.metadata, name: this.#nameFor(event.involvedObject) };
      return this.#create({ ...event, metadata });
    }
  }
}
