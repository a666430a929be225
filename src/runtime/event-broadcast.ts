import { type ContainerEvent, MAX_PENDING_EVENTS, RuntimeError } from "./runtime.ts";

interface Subscriber {
  readonly pending: ContainerEvent[];
  overflowed: boolean;
  wake: () => void;
}

/** Hands every event to each subscriber; one that falls behind is told so and let go. */
export class EventBroadcast {
  readonly #subscribers = new Set<Subscriber>();

  publish(event: ContainerEvent): void {
    for (const subscriber of this.#subscribers) {
      if (subscriber.pending.length >= MAX_PENDING_EVENTS) {
        subscriber.overflowed = true;
        this.#subscribers.delete(subscriber);
      } else {
        subscriber.pending.push(event);
      }
      subscriber.wake();
    }
  }

  /** Subscribes at the call, not at the first read, so that no event is missed in between. */
  subscribe(signal: AbortSignal): AsyncIterable<ContainerEvent> {
    const subscriber: Subscriber = { pending: [], overflowed: false, wake: () => undefined };
    this.#subscribers.add(subscriber);
    return this.#read(subscriber, signal);
  }

  async *#read(subscriber: Subscriber, signal: AbortSignal): AsyncGenerator<ContainerEvent> {
    const stop = (): void => subscriber.wake();
    signal.addEventListener("abort", stop, { once: true });
    try {
      while (!signal.aborted) {
        const event = subscriber.pending.shift();
        if (event !== undefined) {
          yield event;
        } else if (subscriber.overflowed) {
          throw new RuntimeError(
            "slow-consumer",
            `more than ${MAX_PENDING_EVENTS} container events were left unread`,
          );
        } else {
          await new Promise<void>((resolve) => {
            subscriber.wake = resolve;
          });
        }
      }
    } finally {
      signal.removeEventListener("abort", stop);
      this.#subscribers.delete(subscriber);
    }
  }
}
