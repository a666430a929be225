import { expect, test } from "bun:test";
import { drainMicrotasks } from "../lib/index.ts";
import { Gate } from "./gate.ts";

test("Gate: of several who wait, one at a time holds it", async () => {
  const gate = new Gate();
  let holding = 0;
  const ends: (() => void)[] = [];
  const work = async (): Promise<void> => {
    holding += 1;
    expect(holding).toBe(1);
    await new Promise<void>((resolve) => ends.push(resolve));
    holding -= 1;
  };
  const all = Promise.all([gate.hold(work), gate.hold(work), gate.hold(work)]);
  for (let turn = 0; turn < 3; turn++) {
    await drainMicrotasks();
    expect(gate.closed).toBe(true);
    ends[turn]?.();
  }
  await all;
  await gate.opened();
  expect(gate.closed).toBe(false);
});
