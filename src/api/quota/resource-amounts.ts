import { parseQuantity, Quantity, QuantityError } from "../../apimachinery/index.ts";

/** Quantities by resource name: "cpu", "requests.memory", "count/jobs.batch". Never changed. */
export type ResourceAmounts = ReadonlyMap<string, Quantity>;

/** Reads a resource list; what is no quantity is left out: validation speaks about it. */
export function amountsFrom(list: Readonly<Record<string, string>> | undefined): ResourceAmounts {
  const amounts = new Map<string, Quantity>();
  for (const [name, text] of Object.entries(list ?? {})) {
    const amount = readQuantity(text);
    if (amount !== undefined) amounts.set(name, amount);
  }
  return amounts;
}

/** Undefined for text that is no quantity. */
export function readQuantity(text: string | undefined): Quantity | undefined {
  if (text === undefined) return undefined;
  try {
    return parseQuantity(text);
  } catch (error) {
    if (error instanceof QuantityError) return undefined;
    throw error;
  }
}

/** A resource list as objects hold it, by name. */
export function amountsList(amounts: ResourceAmounts): Record<string, string> {
  const names = [...amounts.keys()].sort();
  return Object.fromEntries(names.map((name) => [name, (amounts.get(name) ?? ZERO).toString()]));
}

/** Adds to a running sum. */
export function addAmounts(sum: Map<string, Quantity>, amounts: ResourceAmounts): void {
  for (const [name, amount] of amounts) sum.set(name, sum.get(name)?.add(amount) ?? amount);
}

/** Takes from a running sum. */
export function subtractAmounts(sum: Map<string, Quantity>, amounts: ResourceAmounts): void {
  for (const [name, amount] of amounts) sum.set(name, (sum.get(name) ?? ZERO).sub(amount));
}

/** Raises what is lower to the given amounts. */
export function raiseAmounts(floor: Map<string, Quantity>, amounts: ResourceAmounts): void {
  for (const [name, amount] of amounts) {
    const present = floor.get(name);
    if (present === undefined || present.compare(amount) < 0) floor.set(name, amount);
  }
}

const ZERO = Quantity.zero;
