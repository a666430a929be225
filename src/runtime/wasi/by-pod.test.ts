import { describe, expect, test } from "bun:test";
import { ByPod } from "./by-pod.ts";

describe("ByPod", () => {
  test("ByPod: finds what belongs to a pod, as long as it is there", () => {
    const map = new ByPod<{ pod: string; n: number }>(({ pod }) => pod);
    map.set("a", { pod: "one", n: 1 });
    map.set("b", { pod: "two", n: 2 });
    map.set("c", { pod: "one", n: 3 });
    map.set("a", { pod: "one", n: 4 });
    expect(map.ofPod("one").map(({ n }) => n)).toEqual([4, 3]);
    expect([map.delete("a"), map.delete("a"), map.size]).toEqual([true, false, 2]);
    expect(map.ofPod("one").map(({ n }) => n)).toEqual([3]);
    map.clear();
    expect(map.ofPod("two")).toEqual([]);
  });
});
