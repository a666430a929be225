import type { autoscalingV2 } from "../../api/index.ts";

type Behavior = autoscalingV2.HorizontalPodAutoscalerBehavior;
type Rules = autoscalingV2.HPAScalingRules;

const DEFAULT_UP: Rules = {
  stabilizationWindowSeconds: 0,
  selectPolicy: "Max",
  policies: [
    { type: "Pods", value: 4, periodSeconds: 15 },
    { type: "Percent", value: 100, periodSeconds: 15 },
  ],
};
const DEFAULT_DOWN: Rules = {
  stabilizationWindowSeconds: 300,
  selectPolicy: "Max",
  policies: [{ type: "Percent", value: 100, periodSeconds: 15 }],
};

/** Longer than any window or period that the API accepts. */
export const HISTORY_MS = 3_600_000;

/** What an autoscaler remembers; times are Unix epoch milliseconds. */
export interface ScaleHistory {
  readonly recommendations: readonly { readonly atMs: number; readonly replicas: number }[];
  /** Changes that were made: positive up, negative down. */
  readonly changes: readonly { readonly atMs: number; readonly by: number }[];
}

export interface BehaviorInput {
  readonly behavior: Behavior | undefined;
  readonly current: number;
  readonly desired: number;
  readonly min: number;
  readonly max: number;
  readonly history: ScaleHistory;
  readonly nowMs: number;
}

export interface Bounded {
  readonly replicas: number;
  readonly stabilized?: "up" | "down";
  readonly limited?: "ScaleUpLimit" | "ScaleDownLimit" | "TooManyReplicas" | "TooFewReplicas";
}

export function rulesOf(behavior: Behavior | undefined): { up: Rules; down: Rules } {
  return {
    up: { ...DEFAULT_UP, ...behavior?.scaleUp },
    down: { ...DEFAULT_DOWN, ...behavior?.scaleDown },
  };
}

/** Keeps a wish within stabilisation windows, the rates of the policies, and the bounds. */
export function boundReplicas(input: BehaviorInput): Bounded {
  const stable = stabilize(input);
  const { current, min, max } = input;
  const stabilized =
    stable === input.desired
      ? {}
      : { stabilized: input.desired > current ? ("up" as const) : ("down" as const) };
  if (stable > current) {
    const limit = Math.max(current, upLimit(input));
    if (stable > Math.min(limit, max)) {
      const limited = limit < max ? "ScaleUpLimit" : "TooManyReplicas";
      return { replicas: Math.min(limit, max), limited, ...stabilized };
    }
  } else if (stable < current) {
    const limit = Math.min(current, downLimit(input));
    if (stable < Math.max(limit, min)) {
      const limited = limit > min ? "ScaleDownLimit" : "TooFewReplicas";
      return { replicas: Math.max(limit, min), limited, ...stabilized };
    }
  }
  if (stable > max) return { replicas: max, limited: "TooManyReplicas", ...stabilized };
  if (stable < min) return { replicas: min, limited: "TooFewReplicas", ...stabilized };
  return { replicas: stable, ...stabilized };
}

/** Up to the least, down to the most that was recommended within the window. */
function stabilize({ behavior, current, desired, history, nowMs }: BehaviorInput): number {
  const { up, down } = rulesOf(behavior);
  let low = desired;
  let high = desired;
  for (const { atMs, replicas } of history.recommendations) {
    if (atMs > nowMs - windowMs(up)) low = Math.min(low, replicas);
    if (atMs > nowMs - windowMs(down)) high = Math.max(high, replicas);
  }
  if (current < low) return low;
  return current > high ? high : current;
}

function windowMs({ stabilizationWindowSeconds = 0 }: Rules): number {
  return stabilizationWindowSeconds * 1000;
}

function upLimit({ behavior, current, history, nowMs }: BehaviorInput): number {
  const { up } = rulesOf(behavior);
  if (up.selectPolicy === "Disabled") return current;
  const limits = (up.policies ?? []).map(({ type, value, periodSeconds }) => {
    const start = current - changed(history, periodSeconds, nowMs);
    return type === "Pods" ? start + value : Math.ceil(start * (1 + value / 100));
  });
  return up.selectPolicy === "Min" ? Math.min(...limits) : Math.max(...limits);
}

function downLimit({ behavior, current, history, nowMs }: BehaviorInput): number {
  const { down } = rulesOf(behavior);
  if (down.selectPolicy === "Disabled") return current;
  const limits = (down.policies ?? []).map(({ type, value, periodSeconds }) => {
    const start = current - changed(history, periodSeconds, nowMs);
    return type === "Pods" ? start - value : Math.trunc(start * (1 - value / 100));
  });
  return down.selectPolicy === "Min" ? Math.max(...limits) : Math.min(...limits);
}

/** What was changed, up and down together, within a period. */
function changed({ changes }: ScaleHistory, periodSeconds: number, nowMs: number): number {
  return changes
    .filter(({ atMs }) => atMs > nowMs - periodSeconds * 1000)
    .reduce((sum, { by }) => sum + by, 0);
}

/** The history without what no window reaches any more. */
export function trimHistory(history: ScaleHistory, nowMs: number): ScaleHistory {
  const isRecent = ({ atMs }: { readonly atMs: number }): boolean => atMs > nowMs - HISTORY_MS;
  return {
    recommendations: history.recommendations.filter(isRecent),
    changes: history.changes.filter(isRecent),
  };
}
