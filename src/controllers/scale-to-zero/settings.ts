import type { Deployment } from "../../api/index.ts";
import { parseGoDuration } from "../../apimachinery/index.ts";

/** On a Deployment: how long nothing may ask its pods before it is scaled to zero ("30s"). */
export const SCALE_TO_ZERO = "kubun.dev/scale-to-zero";
/** On such a Deployment: requests under way that one replica is meant to have. */
export const TARGET_CONCURRENCY = "kubun.dev/target-concurrency";
/** How many replicas the target may lead to. */
export const MAX_SCALE = "kubun.dev/max-scale";

/** Shorter than this the answer of a look would be old. */
export const MIN_IDLE_MS = 3_000;
const DEFAULT_MAX_SCALE = 10;

export interface SleepSettings {
  readonly idleMs: number;
  readonly concurrency?: { readonly target: number; readonly maxReplicas: number };
}

/** What the annotations say: nothing, settings, or a sentence about what is wrong with them. */
export function readSleepSettings({ metadata }: Deployment): SleepSettings | string | undefined {
  const annotations = metadata.annotations ?? {};
  const idle = annotations[SCALE_TO_ZERO];
  if (idle === undefined) {
    const alone = [TARGET_CONCURRENCY, MAX_SCALE].find((name) => annotations[name] !== undefined);
    return alone && `${alone} means nothing without ${SCALE_TO_ZERO}`;
  }
  const idleMs = parseGoDuration(idle);
  if (!(idleMs >= MIN_IDLE_MS)) {
    return `${SCALE_TO_ZERO}: "${idle}" is not a duration of at least ${MIN_IDLE_MS / 1000}s`;
  }
  const max = annotations[MAX_SCALE];
  const maxReplicas = max === undefined ? DEFAULT_MAX_SCALE : wholeNumber(max);
  if (maxReplicas === undefined) return `${MAX_SCALE}: "${max}" is not a positive number`;
  const target = annotations[TARGET_CONCURRENCY];
  if (target === undefined) return { idleMs };
  const count = wholeNumber(target);
  if (count === undefined) return `${TARGET_CONCURRENCY}: "${target}" is not a positive number`;
  return { idleMs, concurrency: { target: count, maxReplicas } };
}

function wholeNumber(text: string): number | undefined {
  return /^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined;
}
