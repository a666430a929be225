import { isIP } from "node:net";
import type { Clock } from "../../lib/index.ts";
import { EndpointStates, type EndpointState } from "../net/endpoint-states.ts";
import type { TrafficCounts } from "../net/traffic-counts.ts";
import { NO_RULES } from "../routing/ingress-rules.ts";
import type { Endpoint, ServicePort } from "../routing/routing-table.ts";

/** Answers a name's addresses, IPv4 or IPv6, or rejects. */
export type NameResolver = (name: string) => Promise<readonly string[]>;

/** Names whose addresses are remembered, and the time they are. */
export const MAX_NAMES = 512;
export const NAME_TTL_MS = 10_000;
/** Targets outside of the table whose connections are kept; the oldest is forgotten. */
export const MAX_TARGETS = 512;
export const LOOKUP_DEADLINE_MS = 5_000;
/** Addresses of one name that are tried. */
const MAX_ADDRESSES = 4;

export type Lookup =
  | { readonly type: "addresses"; readonly addresses: readonly string[] }
  | { readonly type: "failed"; readonly code: "dns-error" | "dns-timeout" };

interface KnownName {
  readonly lookup: Promise<Lookup>;
  untilMs: number;
}

/** What is reached although no routing table has it: names outside, addresses, TLS. */
export class OutsideTargets {
  readonly states: EndpointStates;
  readonly #clock: Clock;
  readonly #resolve: NameResolver;
  readonly #retire: (states: readonly EndpointState[]) => void;
  readonly #names = new Map<string, KnownName>();
  readonly #ports = new Map<string, ServicePort>();

  constructor(options: {
    readonly clock: Clock;
    readonly resolve: NameResolver;
    readonly traffic?: TrafficCounts;
    /** Told of what was forgotten. */
    readonly retire: (states: readonly EndpointState[]) => void;
  }) {
    this.#clock = options.clock;
    this.#resolve = options.resolve;
    this.#retire = options.retire;
    this.states = new EndpointStates(options.clock, options.traffic);
  }

  /** By the machine's resolver; what it said is remembered for a little while. */
  async lookup(name: string): Promise<Lookup> {
    if (isIP(name) !== 0) return { type: "addresses", addresses: [name] };
    if (name === "localhost") return { type: "addresses", addresses: ["127.0.0.1"] };
    const nowMs = this.#clock.monotonic();
    const known = this.#names.get(name);
    if (known !== undefined && known.untilMs > nowMs) return known.lookup;
    const fresh: KnownName = { lookup: this.#ask(name), untilMs: nowMs + NAME_TTL_MS };
    this.#names.delete(name);
    this.#names.set(name, fresh);
    dropOldest(this.#names, MAX_NAMES);
    const result = await fresh.lookup;
    // A name that was just made should not be unknown for long.
    if (result.type === "failed" && this.#names.get(name) === fresh) this.#names.delete(name);
    return result;
  }

  /** A port with these endpoints; the same as before when nothing about it changed. */
  port(key: string, host: string, number: number, endpoints: readonly Endpoint[]): ServicePort {
    const known = this.#ports.get(key);
    const same =
      known?.endpoints.length === endpoints.length &&
      endpoints.every(({ key: each }, index) => each === known.endpoints[index]?.key);
    if (known !== undefined && same) {
      this.#ports.delete(key);
      this.#ports.set(key, known);
      return known;
    }
    const port: ServicePort = {
      key,
      namespace: "",
      service: `${host}:${number}`,
      name: "",
      port: number,
      protocol: "TCP",
      endpoints: endpoints.slice(0, MAX_ADDRESSES),
    };
    this.#ports.delete(key);
    this.#ports.set(key, port);
    dropOldest(this.#ports, MAX_TARGETS);
    this.#retire(this.states.retain({ ports: this.#ports, ingress: NO_RULES }));
    return port;
  }

  async #ask(name: string): Promise<Lookup> {
    const late = Promise.withResolvers<Lookup>();
    const cancel = this.#clock.after(LOOKUP_DEADLINE_MS, () =>
      late.resolve({ type: "failed", code: "dns-timeout" }),
    );
    const asked = this.#resolve(name).then(
      (addresses): Lookup =>
        addresses.length === 0
          ? { type: "failed", code: "dns-error" }
          : { type: "addresses", addresses },
      (): Lookup => ({ type: "failed", code: "dns-error" }),
    );
    const result = await Promise.race([asked, late.promise]);
    cancel();
    return result;
  }
}

function dropOldest<Value>(map: Map<string, Value>, limit: number): void {
  for (const key of map.keys()) {
    if (map.size <= limit) return;
    map.delete(key);
  }
}

/**
 * The machine itself, its links, and nothing: what a name from outside has no business to lead to,
 * because it would make of a pod's grant for that name one for the machine's own services.
 */
export function isMachineAddress(ip: string): boolean {
  const v4 = ip.toLowerCase().startsWith("::ffff:") ? ip.slice("::ffff:".length) : ip;
  if (isIP(v4) === 4) return /^(0|127)\.|^169\.254\./.test(v4);
  return /^(::1?$|fe[89ab])/i.test(ip);
}
