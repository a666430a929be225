import type { Clock } from "../../lib/index.ts";
import type { EndpointDial } from "../net/endpoint-dialer.ts";
import type { EndpointState } from "../net/endpoint-states.ts";
import { UPSTREAM_HANDLER, UpstreamConnection, type UpstreamUser } from "./upstream-connection.ts";

/** Idle connections kept to one endpoint. */
export const MAX_IDLE_PER_ENDPOINT = 128;
/** After this an idle connection is closed; shorter than the usual server's own limit. */
export const MAX_IDLE_MS = 8_000;
/**
 * A request that must not be sent twice takes an idle connection only while it is this fresh: the
 * endpoint may be closing an older one at this very moment.
 */
export const FRESH_IDLE_MS = 1_000;

/** Connections to endpoints between two uses. */
export class UpstreamPool {
  readonly #clock: Clock;
  readonly #dial: EndpointDial;
  /** The most recently used one is at the end, and is taken first. */
  readonly #idle = new Map<EndpointState, UpstreamConnection[]>();
  readonly #open = new Set<UpstreamConnection>();

  constructor(clock: Clock, dial: EndpointDial) {
    this.#clock = clock;
    this.#dial = dial;
  }

  /** Connections of any state. */
  get size(): number {
    return this.#open.size;
  }

  /** An idle connection, at once usable; undefined when there is none (fresh enough). */
  take(
    endpoint: EndpointState,
    user: UpstreamUser,
    options: { repeatable: boolean },
  ): UpstreamConnection | undefined {
    const list = this.#idle.get(endpoint);
    const connection = list?.at(-1);
    if (list === undefined || connection === undefined) return undefined;
    if (!options.repeatable) {
      if (this.#clock.monotonic() - connection.sinceMs > FRESH_IDLE_MS) return undefined;
    }
    list.pop();
    connection.use(user);
    return connection;
  }

  /** A new connection; the user hears of its opening or its end. */
  connect(endpoint: EndpointState, user: UpstreamUser): UpstreamConnection {
    const connection = new UpstreamConnection(endpoint, this.#clock.monotonic(), this.#onGone);
    this.#open.add(connection);
    connection.use(user);
    this.#dial(endpoint.endpoint, connection, UPSTREAM_HANDLER);
    return connection;
  }

  /** Gives back a connection whose exchange is complete on both sides. */
  release(connection: UpstreamConnection): void {
    const { endpoint } = connection;
    const list = this.#idle.get(endpoint) ?? [];
    if (endpoint.retired || list.length >= MAX_IDLE_PER_ENDPOINT || !connection.writable) {
      connection.destroy();
      return;
    }
    connection.rest(this.#clock.monotonic());
    if (list.length === 0) this.#idle.set(endpoint, list);
    list.push(connection);
  }

  /** Closes the idle connections to an endpoint that left the table. */
  retire(endpoint: EndpointState): void {
    const list = this.#idle.get(endpoint) ?? [];
    this.#idle.delete(endpoint);
    for (const connection of list) connection.destroy();
  }

  /** Called about once a second: closes what was idle, or connecting, for too long. */
  sweep(connectTimeoutMs: number): void {
    const nowMs = this.#clock.monotonic();
    for (const connection of this.#open) {
      const ageMs = nowMs - connection.sinceMs;
      if (connection.state === "idle" && ageMs > MAX_IDLE_MS) connection.destroy();
      if (connection.state === "connecting" && ageMs > connectTimeoutMs)
        connection.fail("connection-timeout");
    }
  }

  close(): void {
    for (const connection of this.#open) connection.destroy();
  }

  readonly #onGone = (connection: UpstreamConnection): void => {
    this.#open.delete(connection);
    const list = this.#idle.get(connection.endpoint);
    const index = list?.lastIndexOf(connection) ?? -1;
    if (list === undefined || index === -1) return;
    list.splice(index, 1);
    if (list.length === 0) this.#idle.delete(connection.endpoint);
  };
}
