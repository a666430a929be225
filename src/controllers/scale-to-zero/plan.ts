import type { SleepSettings } from "./settings.ts";

/** While nothing is known, or nobody is ready, it is looked at again after this. */
export const UNKNOWN_RETRY_MS = 5_000;
/** How often requests under way are counted for a target of concurrency. */
export const CONCURRENCY_INTERVAL_MS = 2_000;
/** Replicas are taken away when fewer would have done for so long. */
export const SCALE_DOWN_WINDOW_MS = 60_000;
const MIN_RETRY_MS = 500;

export interface SleepInput {
  readonly settings: SleepSettings;
  readonly replicas: number;
  /** When each ready pod became ready. */
  readonly readySinceMs: readonly number[];
  /** Undefined when some node did not tell what goes through its proxy. */
  readonly traffic: { readonly inFlight: number; readonly lastMs: number } | undefined;
  /** What concurrency asked for within the last {@link SCALE_DOWN_WINDOW_MS}, the newest last. */
  readonly wished: readonly { readonly atMs: number; readonly replicas: number }[];
  /** Another autoscaler decides about the number of replicas. */
  readonly autoscaled: boolean;
  readonly nowMs: number;
}

export type SleepPlan =
  | { readonly type: "sleep" }
  | { readonly type: "scale"; readonly replicas: number; readonly againMs: number }
  | { readonly type: "wait"; readonly againMs?: number };

/** What is to be done about one Deployment now. One that sleeps waits for who asks for it. */
export function planSleep(input: SleepInput): SleepPlan {
  const { settings, replicas, readySinceMs, traffic, nowMs } = input;
  if (replicas === 0) return { type: "wait" };
  // Somebody may be waiting for the first pod to become ready.
  if (readySinceMs.length === 0 || traffic === undefined) {
    return { type: "wait", againMs: UNKNOWN_RETRY_MS };
  }
  const sinceMs = Math.max(traffic.lastMs, ...readySinceMs);
  const idleMs = traffic.inFlight > 0 ? 0 : nowMs - sinceMs;
  if (idleMs >= settings.idleMs) return { type: "sleep" };
  const againMs = Math.max(MIN_RETRY_MS, settings.idleMs - idleMs);
  if (settings.concurrency === undefined || input.autoscaled) return { type: "wait", againMs };
  const wanted = wantedReplicas(input);
  const soonMs = Math.min(againMs, CONCURRENCY_INTERVAL_MS);
  return wanted === replicas
    ? { type: "wait", againMs: soonMs }
    : { type: "scale", replicas: wanted, againMs: soonMs };
}

/** Replicas for the requests under way; never zero, which only idleness gives. */
export function wishedReplicas({ concurrency }: SleepSettings, inFlight: number): number {
  if (concurrency === undefined) return 1;
  const { target, maxReplicas } = concurrency;
  return Math.min(maxReplicas, Math.max(1, Math.ceil(inFlight / target)));
}

/** Up at once, down to the most that was wished for within the window. */
function wantedReplicas({ settings, traffic, wished, replicas, nowMs }: SleepInput): number {
  const now = wishedReplicas(settings, traffic?.inFlight ?? 0);
  if (now >= replicas) return now;
  const recent = wished.filter(({ atMs }) => nowMs - atMs < SCALE_DOWN_WINDOW_MS);
  return Math.min(replicas, Math.max(now, ...recent.map((wish) => wish.replicas)));
}
