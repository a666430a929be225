import { describe, expect, test } from "bun:test";
import { randomInteger, SeededRandom } from "../lib/index.ts";
import { OrderedMap } from "./ordered-map.ts";

describe("OrderedMap", () => {
  test("OrderedMap: agrees with a plain map over thousands of random steps", () => {
    const random = new SeededRandom(11);
    const map = new OrderedMap<number>();
    const model = new Map<string, number>();
    for (let step = 0; step < 8_000; step++) {
      const key = `/${randomInteger(random, 4)}/${randomInteger(random, 900)}`;
      if (randomInteger(random, 3) === 0) {
        map.delete(key);
        model.delete(key);
      } else {
        map.set(key, step);
        model.set(key, step);
      }
      expect(map.get(key)).toBe(model.get(key));
    }
    expect(map.size).toBe(model.size);
    for (const prefix of ["", "/", "/2/", "/3", "/2/55", "/9/", "0"]) {
      const keys = [...model.keys()].filter((key) => key.startsWith(prefix)).sort();
      const values = keys.map((key) => model.get(key) ?? -1);
      expect(map.list(prefix)).toEqual(values);
      expect(map.count(prefix)).toBe(values.length);
      for (const after of ["", "/", keys[0], keys[7], keys.at(-1), "/2/4x", "~"]) {
        if (after === undefined) continue;
        const behind = keys.filter((key) => key > after).map((key) => model.get(key) ?? -1);
        expect(map.list(prefix, { after })).toEqual(behind);
        expect(map.list(prefix, { after, limit: 5 })).toEqual(behind.slice(0, 5));
      }
    }
  });

  test("OrderedMap: from builds the same map as single inserts", () => {
    const keys = Array.from({ length: 2_000 }, (_, index) => `k${(index * 7_919) % 2_000}`);
    const built = OrderedMap.from(keys.map((key) => [key, key] as const));
    expect(built.size).toBe(2_000);
    expect(built.list("")).toEqual([...keys].sort());
    expect(OrderedMap.from<string>([]).list("")).toEqual([]);
  });
});
