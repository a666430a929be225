import type { Environment } from "@marcbachmann/cel-js";
import { jsonEquals } from "../json-value.ts";
import { CelError } from "./cel-error.ts";

type Item = bigint | number | string | boolean;

/** What Kubernetes adds to lists, and the sets of CEL's extensions. */
export function registerLists(environment: Environment): void {
  environment
    .registerFunction("list<dyn>.isSorted(): bool", (list: readonly Item[]) => {
      return list.every((item, index) => index === 0 || (list[index - 1] ?? item) <= item);
    })
    .registerFunction("list<dyn>.sum(): dyn", sum)
    .registerFunction("list<dyn>.min(): dyn", (list: readonly Item[]) => {
      return best("min", list, (a, b) => a < b);
    })
    .registerFunction("list<dyn>.max(): dyn", (list: readonly Item[]) => {
      return best("max", list, (a, b) => a > b);
    })
    .registerFunction("list<dyn>.indexOf(dyn): int", (list: readonly unknown[], item: unknown) => {
      return BigInt(list.findIndex((one) => isEqual(one, item)));
    })
    .registerFunction(
      "list<dyn>.lastIndexOf(dyn): int",
      (list: readonly unknown[], item: unknown) => {
        return BigInt(list.findLastIndex((one) => isEqual(one, item)));
      },
    );
  environment.registerType("kubernetes.Sets", Sets);
  environment.registerConstant("sets", "kubernetes.Sets", new Sets("sets"));
  environment
    .registerFunction(
      "kubernetes.Sets.contains(list<dyn>, list<dyn>): bool",
      (_sets: unknown, list: readonly unknown[], items: readonly unknown[]) => holds(list, items),
    )
    .registerFunction(
      "kubernetes.Sets.equivalent(list<dyn>, list<dyn>): bool",
      (_sets: unknown, a: readonly unknown[], b: readonly unknown[]) => holds(a, b) && holds(b, a),
    )
    .registerFunction(
      "kubernetes.Sets.intersects(list<dyn>, list<dyn>): bool",
      (_sets: unknown, a: readonly unknown[], b: readonly unknown[]) => {
        return a.some((item) => b.some((other) => isEqual(item, other)));
      },
    );
}

/** What `sets.contains` and the others hang on. */
class Sets {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** More comparisons than this are refused: they happen between two steps of the budget. */
const MAX_COMPARISONS = 1_000_000;

function holds(list: readonly unknown[], items: readonly unknown[]): boolean {
  if (list.length * items.length > MAX_COMPARISONS) throw new CelError("lists are too long");
  return items.every((item) => list.some((other) => isEqual(item, other)));
}

function isEqual(a: unknown, b: unknown): boolean {
  return a === b || jsonEquals(a, b);
}

function sum(list: readonly Item[]): Item {
  const [first = 0n] = list;
  if (typeof first === "bigint") {
    return list.reduce<bigint>((total, item) => total + BigInt(item), 0n);
  }
  return list.reduce<number>((total, item) => total + Number(item), 0);
}

function best(name: string, list: readonly Item[], isBetter: (a: Item, b: Item) => boolean): Item {
  const [first] = list;
  if (first === undefined) throw new CelError(`${name} called on empty list`);
  return list.reduce((found, item) => (isBetter(item, found) ? item : found), first);
}
