import type { Node } from "../../api/index.ts";

/** Nodes of one failure domain, by the labels topology.kubernetes.io/region and …/zone. */
export interface ZoneHealth {
  readonly ready: number;
  readonly notReady: number;
}

/**
 * How much of a zone is lost. Many nodes silent at once are rather a cut network, or a fault of
 * whoever listens, than many dead machines (Kubernetes' rules, kube-controller-manager's names).
 */
export type ZoneState = "normal" | "partial" | "full";

/** A share of lost nodes from which on a zone is partially disrupted, if more than two are. */
export const UNHEALTHY_ZONE_FRACTION = 0.55;
/** Zones up to this size lose no pods at all while they are partially disrupted. */
export const LARGE_ZONE_NODES = 50;
/** Nodes whose pods may be evicted, a second and zone. */
export const EVICTIONS_PER_SECOND = 0.1;
export const REDUCED_EVICTIONS_PER_SECOND = 0.01;

export interface Disruption {
  /** No node anywhere is ready: nobody is evicted, and evictions announced are taken back. */
  readonly everywhere: boolean;
  /** Nodes given up a second, by zone; 0 holds them. */
  readonly rates: ReadonlyMap<string, number>;
}

/** What the state of all nodes together means for evictions. */
export function judgeDisruption(
  nodes: readonly Node[],
  isReady: (node: Node) => boolean,
): Disruption {
  const zones = new Map<string, { ready: number; notReady: number }>();
  for (const node of nodes) {
    const zone = zones.get(zoneOf(node)) ?? { ready: 0, notReady: 0 };
    zones.set(zoneOf(node), zone);
    if (isReady(node)) zone.ready++;
    else zone.notReady++;
  }
  const states = [...zones].map(([name, health]) => ({ name, health, state: stateOf(health) }));
  const everywhere = states.length > 0 && states.every(({ state }) => state === "full");
  const rates = new Map(
    states.map(({ name, health, state }) => [name, everywhere ? 0 : rateOf(state, health)]),
  );
  return { everywhere, rates };
}

export function zoneOf({ metadata }: Node): string {
  const region = metadata.labels?.["topology.kubernetes.io/region"] ?? "";
  return `${region}:${metadata.labels?.["topology.kubernetes.io/zone"] ?? ""}`;
}

export function stateOf({ ready, notReady }: ZoneHealth): ZoneState {
  if (ready === 0 && notReady > 0) return "full";
  const share = notReady / (ready + notReady);
  return notReady > 2 && share >= UNHEALTHY_ZONE_FRACTION ? "partial" : "normal";
}

/** A zone that is lost as a whole while others live has no network of its own to blame. */
function rateOf(state: ZoneState, { ready, notReady }: ZoneHealth): number {
  if (state !== "partial") return EVICTIONS_PER_SECOND;
  return ready + notReady > LARGE_ZONE_NODES ? REDUCED_EVICTIONS_PER_SECOND : 0;
}

/** Lets nodes of a zone be given up one after another, at the zone's rate. */
export class EvictionPace {
  /** When the next node of a zone may be given up, by the monotonic clock. */
  readonly #nextMs = new Map<string, number>();

  /** 0: now, and it counts; otherwise how long to wait. */
  take(zone: string, ratePerSecond: number, nowMs: number): number {
    if (ratePerSecond <= 0) return Infinity;
    const waitMs = (this.#nextMs.get(zone) ?? nowMs) - nowMs;
    if (waitMs > 0) return waitMs;
    this.#nextMs.set(zone, nowMs + 1000 / ratePerSecond);
    return 0;
  }
}
