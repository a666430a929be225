import type { LabelSelector } from "./meta/v1/types.ts";
import { NONE, UNSET } from "./table-columns.ts";

const MAX_SHOWN = 3;

/** Labels as "a=1,b=2" in the order of their keys. */
export function labelsText(labels: Readonly<Record<string, string>> | undefined): string {
  const terms = Object.entries(labels ?? {})
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`);
  return terms.length === 0 ? NONE : terms.join(",");
}

const EXPRESSION: Readonly<Record<string, (key: string, values: readonly string[]) => string>> = {
  In: (key, values) => `${key} in (${values.join(",")})`,
  NotIn: (key, values) => `${key} notin (${values.join(",")})`,
  Exists: (key) => key,
  DoesNotExist: (key) => `!${key}`,
};

/** A selector as it would be typed after `-l`. */
export function selectorText(selector: LabelSelector | undefined): string {
  const terms = Object.entries(selector?.matchLabels ?? {}).map(([key, value]) => ({
    key,
    text: `${key}=${value}`,
  }));
  for (const { key, operator, values } of selector?.matchExpressions ?? []) {
    const text = EXPRESSION[operator]?.(key, [...(values ?? [])].sort());
    terms.push({ key, text: text ?? "<error>" });
  }
  if (terms.length === 0) return NONE;
  terms.sort((left, right) => (left.key < right.key ? -1 : Number(left.key > right.key)));
  return terms.map(({ text }) => text).join(",");
}

/** The first three, and how many more there are. */
export function shortList(items: readonly string[]): string {
  const shown = items.slice(0, MAX_SHOWN).join(",");
  return items.length > MAX_SHOWN ? `${shown} + ${items.length - MAX_SHOWN} more...` : shown;
}

export function orUnset(text: string | undefined): string {
  return text === undefined || text === "" ? UNSET : text;
}

export function orNone(text: string | undefined): string {
  return text === undefined || text === "" ? NONE : text;
}

/** "10.0.0.1:80" or "[fd00::1]:80". */
export function hostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
