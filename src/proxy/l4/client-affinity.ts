import type { Clock } from "../../lib/index.ts";
import type { EndpointState, EndpointStates } from "../net/endpoint-states.ts";
import type { ServicePort } from "../routing/routing-table.ts";

/** Clients remembered over all Services; the one not heard of for longest is forgotten first. */
export const MAX_REMEMBERED_CLIENTS = 10_000;

interface Memory {
  readonly endpointKey: string;
  readonly untilMs: number;
}

/** Session affinity "ClientIP": a client comes back to the endpoint it had. */
export class ClientAffinity {
  readonly #clock: Clock;
  readonly #states: EndpointStates;
  /** Insertion order is the order of last use. */
  readonly #memories = new Map<string, Memory>();

  constructor(clock: Clock, states: EndpointStates) {
    this.#clock = clock;
    this.#states = states;
  }

  get size(): number {
    return this.#memories.size;
  }

  /** The endpoint this client had, when it is still one of the port's and was not tried yet. */
  recall(port: ServicePort, client: string, tried: ReadonlySet<string>): EndpointState | undefined {
    if (port.affinitySeconds === undefined) return undefined;
    const memory = this.#memories.get(`${port.key} ${client}`);
    if (memory === undefined || memory.untilMs <= this.#clock.monotonic()) return undefined;
    if (tried.has(memory.endpointKey)) return undefined;
    const endpoint = port.endpoints.find((each) => each.key === memory.endpointKey);
    return endpoint === undefined ? undefined : this.#states.stateOf(endpoint);
  }

  remember(port: ServicePort, client: string, state: EndpointState): void {
    if (port.affinitySeconds === undefined) return;
    const key = `${port.key} ${client}`;
    const untilMs = this.#clock.monotonic() + port.affinitySeconds * 1_000;
    this.#memories.delete(key);
    this.#memories.set(key, { endpointKey: state.endpoint.key, untilMs });
    if (this.#memories.size <= MAX_REMEMBERED_CLIENTS) return;
    for (const oldest of this.#memories.keys()) {
      this.#memories.delete(oldest);
      return;
    }
  }
}
