import { isJsonObject } from "./json-value.ts";
import { badRequest } from "./status-error.ts";
import { PATCH } from "./strategic-directives.ts";

type Identify = (item: unknown) => unknown;

export interface ListsToOrder {
  /** All items, in any order. */
  readonly merged: readonly unknown[];
  /** What the patch says of the order: items of the list, or only their merge keys. */
  readonly order: readonly unknown[];
  /** The list before the patch. */
  readonly before: readonly unknown[];
  readonly identify: Identify;
}

/**
 * The merged items in their final order. Those the patch mentions follow its order, the others
 * keep theirs, and where the two meet an item stays behind what stood before it.
 *
 * before [a, x, b], patch order [b, a] → [b, a] woven with [x] → [x, b, a]
 */
export function mergeSorted({ merged, order, before, identify }: ListsToOrder): unknown[] {
  const wanted = positions(order, identify);
  const live = positions(before, identify);
  const mentioned: unknown[] = [];
  const others: unknown[] = [];
  for (const item of merged) (wanted.has(identify(item)) ? mentioned : others).push(item);
  mentioned.sort((a, b) => at(wanted, identify(a)) - at(wanted, identify(b)));
  others.sort((a, b) => at(live, identify(a)) - at(live, identify(b)));

  const result: unknown[] = [];
  let next = 0;
  for (const item of mentioned) {
    // A new item goes in at once: only what stood before an old one stays before it.
    const place = live.get(identify(item)) ?? -1;
    while (next < others.length && at(live, identify(others[next])) < place) {
      result.push(others[next++]);
    }
    result.push(item);
  }
  return [...result, ...others.slice(next)];
}

/** The items of a patch must stand in the order that its own directive dictates. */
export function checkOrder(
  changes: readonly unknown[],
  order: readonly unknown[],
  identify: Identify,
  directive: string,
): void {
  const wanted = positions(order, identify);
  let last = -1;
  for (const change of changes) {
    if (isJsonObject(change) && change[PATCH] !== undefined) continue;
    const place = wanted.get(identify(change));
    if (place === undefined || place < last) {
      throw badRequest(
        `The order in patch list:\n${JSON.stringify(changes)}\n doesn't match ` +
          `${directive} list:\n${JSON.stringify(order)}\n`,
      );
    }
    last = place;
  }
}

function positions(list: readonly unknown[], identify: Identify): Map<unknown, number> {
  const found = new Map<unknown, number>();
  for (const [index, item] of list.entries()) {
    const isDirectiveOnly = isJsonObject(item) && item[PATCH] === "replace";
    if (isDirectiveOnly && Object.keys(item).length === 1) continue;
    const identity = identify(item);
    if (!found.has(identity)) found.set(identity, index);
  }
  return found;
}

function at(found: ReadonlyMap<unknown, number>, identity: unknown): number {
  return found.get(identity) ?? Number.MAX_SAFE_INTEGER;
}
