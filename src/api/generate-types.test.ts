import { expect, test } from "bun:test";
import { generateTypes } from "./generate-types.ts";

test("generateTypes: what it renders is what the repository holds", async () => {
  const stale: string[] = [];
  for (const [path, text] of await generateTypes()) {
    const held = await Bun.file(`${import.meta.dir}/${path}`).text();
    if (held !== text) stale.push(path);
  }
  expect(stale).toEqual([]);
});
