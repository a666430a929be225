import { afterAll, describe, expect, test } from "bun:test";
import { COMPONENTS, TranslatedComponents } from "../component/testing/translated.ts";
import { PreparedComponents } from "./prepared-components.ts";

const translated = new TranslatedComponents();
afterAll(() => translated.remove());
const whileWanted = () => true;

describe("PreparedComponents", () => {
  test("PreparedComponents: what was loaded for the same limit is taken, and once", async () => {
    const directory = await translated.directory(COMPONENTS.service);
    const prepared = new PreparedComponents();
    const likely = [{ directory: "/nonexistent" }, { directory, memoryLimitBytes: 1 << 20 }];
    await prepared.prepare(likely, whileWanted);
    const code = await prepared.take(directory, 1 << 20);
    expect(code.maximumPages).toBe(16);
    expect(await prepared.take(directory, 1 << 20)).not.toBe(code);
  });

  test("PreparedComponents: another limit, and what cannot be loaded, is loaded anew", async () => {
    const directory = await translated.directory(COMPONENTS.service);
    const prepared = new PreparedComponents();
    await prepared.prepare([{ directory }, { directory: "/nonexistent" }], whileWanted);
    expect((await prepared.take(directory, 1 << 20)).maximumPages).toBe(16);
    const failure = prepared.take("/nonexistent", undefined);
    expect(await failure.catch((error: Error) => error.message)).toContain("/nonexistent");
  });

  test("PreparedComponents: nothing more is loaded once a container came", async () => {
    const prepared = new PreparedComponents();
    let asked = 0;
    await prepared.prepare([{ directory: "/a" }, { directory: "/b" }], () => asked++ === 0);
    expect(asked).toBe(2);
  });
});
