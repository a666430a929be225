import { expect, test } from "bun:test";
import type { KubeObject } from "../apimachinery/index.ts";
import { everyChange } from "./every-change.ts";

const named = (name: string): KubeObject => ({ metadata: { name } });

function lookedAt(moved?: (old: KubeObject, next: KubeObject) => boolean): string[] {
  const seen: string[] = [];
  const handler = everyChange(({ metadata }) => seen.push(metadata.name ?? ""), moved);
  handler.onAdd?.(named("added"));
  handler.onUpdate?.(named("old"), named("new"));
  handler.onDelete?.(named("gone"));
  return seen;
}

test("everyChange looks at what comes, changes and goes", () => {
  expect(lookedAt()).toEqual(["added", "new", "gone"]);
});

test("everyChange looks at what an object was, too, when it moved", () => {
  expect(lookedAt(() => true)).toEqual(["added", "old", "new", "gone"]);
});
