import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { leanCode } from "./lean-code.ts";
import { COMPONENTS, TranslatedComponents } from "./testing/translated.ts";

const translated = new TranslatedComponents();
afterAll(() => translated.remove());

test("leanCode takes the machinery out of what this translator makes", async () => {
  for (const component of Object.values(COMPONENTS)) {
    const directory = await translated.directory(component);
    const code = await Bun.file(join(directory, "component.js")).text();
    expect(code).toContain("export function instantiate(");
    expect(code).not.toMatch(/createNewCurrentTask|_debugLog|_createdReps\.add/);
    expect(code.length).toBeLessThan(70_000);
  }
});

test("leanCode gives up on code that it does not know", () => {
  expect(leanCode("export function other() {}\n", new Set())).toBeUndefined();
  const unknown = `export function instantiate(getCoreModule, imports) {
  const task = createNewCurrentTask({});
}
`;
  expect(leanCode(unknown, new Set())).toBeUndefined();
  const broken = "export function instantiate(getCoreModule, imports) {\n  const = 1;\n}\n";
  expect(leanCode(broken, new Set())).toBeUndefined();
});
