import type { Clock } from "../../lib/index.ts";
import { TrafficCounts, type TrafficCount } from "./traffic-counts.ts";
import type { Endpoint, RoutingTable, ServicePort } from "../routing/routing-table.ts";

/**
 * How long an endpoint that refused a connection is passed over while others are left: twice as
 * long each time in a row, because a machine that is off costs each try its time.
 */
export const FAILED_ENDPOINT_PAUSE_MS = 1_000;
export const MAX_FAILED_ENDPOINT_PAUSE_MS = 30_000;

const MAX_DOUBLINGS = 5;

/** What the data path remembers about one endpoint, whatever Services it belongs to. */
export interface EndpointState {
  endpoint: Endpoint;
  /** Connections or requests under way. */
  active: number;
  /** On the monotonic clock; 0 when it never failed. */
  failedUntilMs: number;
  /** In a row. */
  failures: number;
  /** It left the table: nothing new goes there, what is under way finishes. */
  retired: boolean;
  /** Of its address, whichever port it is asked at. */
  readonly traffic: TrafficCount;
}

/** Chooses endpoints: least busy, taking turns among equals; failed ones last. */
export class EndpointStates {
  readonly #clock: Clock;
  readonly #states = new Map<string, EndpointState>();
  readonly #turns = new Map<string, number>();

  readonly #traffic: TrafficCounts;

  constructor(clock: Clock, traffic = new TrafficCounts(clock)) {
    this.#clock = clock;
    this.#traffic = traffic;
  }

  /** Something goes to this endpoint: a request or a connection. */
  begin(state: EndpointState): void {
    state.active++;
    state.traffic.begin();
  }

  end(state: EndpointState): void {
    state.active--;
    state.traffic.end();
  }

  /** The best endpoint not in `tried`; undefined when there is none. */
  choose(port: ServicePort, tried: ReadonlySet<string>): EndpointState | undefined {
    const count = port.endpoints.length;
    if (count === 1) {
      const only = port.endpoints[0];
      return only === undefined || tried.has(only.key) ? undefined : this.stateOf(only);
    }
    const turn = (this.#turns.get(port.key) ?? 0) + 1;
    this.#turns.set(port.key, turn);
    let best: EndpointState | undefined;
    let bestRank = Infinity;
    for (let step = 0; step < count; step++) {
      const endpoint = port.endpoints[(turn + step) % count];
      if (endpoint === undefined || tried.has(endpoint.key)) continue;
      const state = this.stateOf(endpoint);
      const rank = state.active + (this.#failed(state) ? Number.MAX_SAFE_INTEGER / 2 : 0);
      if (rank < bestRank) {
        best = state;
        bestRank = rank;
      }
    }
    return best;
  }

  stateOf(endpoint: Endpoint): EndpointState {
    const known = this.#states.get(endpoint.key);
    if (known !== undefined) {
      known.endpoint = endpoint;
      return known;
    }
    const state: EndpointState = {
      endpoint,
      active: 0,
      failedUntilMs: 0,
      failures: 0,
      retired: false,
      traffic: this.#traffic.of(endpoint.ip),
    };
    this.#states.set(endpoint.key, state);
    return state;
  }

  markFailed(state: EndpointState): void {
    const pauseMs = FAILED_ENDPOINT_PAUSE_MS * 2 ** state.failures;
    state.failures = Math.min(state.failures + 1, MAX_DOUBLINGS);
    state.failedUntilMs = this.#clock.monotonic() + Math.min(pauseMs, MAX_FAILED_ENDPOINT_PAUSE_MS);
  }

  markAlive(state: EndpointState): void {
    state.failures = 0;
    state.failedUntilMs = 0;
  }

  /** Forgets what left the table; answers the states that were retired by this. */
  retain(table: RoutingTable): readonly EndpointState[] {
    const kept = new Set<string>();
    for (const port of table.ports.values()) {
      for (const endpoint of port.endpoints) kept.add(endpoint.key);
    }
    const retired: EndpointState[] = [];
    for (const [key, state] of this.#states) {
      if (kept.has(key)) continue;
      state.retired = true;
      this.#states.delete(key);
      retired.push(state);
    }
    for (const key of this.#turns.keys()) {
      if (!table.ports.has(key)) this.#turns.delete(key);
    }
    return retired;
  }

  #failed(state: EndpointState): boolean {
    return state.failedUntilMs > 0 && state.failedUntilMs > this.#clock.monotonic();
  }
}
