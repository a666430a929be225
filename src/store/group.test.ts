import { describe, expect, test } from "bun:test";
import { TestGroup } from "./testing/test-group.ts";

const value = new Uint8Array([1, 2, 3]);

describe("openStore with a group", () => {
  test("openStore: three members write and read", async () => {
    const group = await TestGroup.of(3);
    const { store } = group.leader();
    const kv = await group.during(store.create("/a", value));
    for (const follower of group.followers()) {
      await group.during(follower.store.barrier());
      expect(follower.store.get("/a")).toEqual(kv);
    }
    expect(store.membership.members().map((member) => member.role)).toEqual([
      "voter",
      "voter",
      "voter",
    ]);
    await group.close();
  });
});
