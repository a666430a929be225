import { expect, test } from "bun:test";
import { KeyTurns } from "./key-turns.ts";

test("KeyTurns: writers of a key go one after another, those of others do not wait", async () => {
  const turns = new KeyTurns();
  const seen: string[] = [];
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  const first = turns.run("a", async () => {
    await gate;
    seen.push("first");
  });
  const second = turns.run("a", async () => {
    seen.push("second");
  });
  await turns.run("b", async () => {
    seen.push("other");
  });
  expect(seen).toEqual(["other"]);
  open();
  await Promise.all([first, second]);
  expect(seen).toEqual(["other", "first", "second"]);
});

test("KeyTurns: a writer that fails gives its turn on", async () => {
  const turns = new KeyTurns();
  const failed = turns.run("a", async () => {
    throw new Error("refused");
  });
  const next = turns.run("a", async () => "done");
  expect(await failed.catch(String)).toBe("Error: refused");
  expect(await next).toBe("done");
});
