import type { LimitRange } from "./types.ts";

/** For containers: the maximum is the default limit, that the default request, else the minimum. */
export function defaultLimitRange(range: LimitRange): void {
  for (const item of range.spec?.limits ?? []) {
    if (item.type !== "Container") continue;
    item.default = { ...item.max, ...item.default };
    item.defaultRequest = { ...item.min, ...item.default, ...item.defaultRequest };
  }
}
