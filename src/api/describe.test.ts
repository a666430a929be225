import { expect, test } from "bun:test";
import { describe } from "./describe.ts";
import { typeTable } from "./group-versions.ts";
import { resourceDefinitions } from "./resource-definitions.ts";

test("describe: has words about types and their fields", () => {
  expect(describe("core.v1.Pod")).toStartWith("One or more containers");
  expect(describe("core.v1.Container", "image")).toContain("registry");
  expect(describe("apis.meta.v1.ObjectMeta", "labels")).toContain("selectors");
});

test("describe: knows what all kinds, lists and conditions share", () => {
  expect(describe("apps.v1.Deployment", "spec")).toBe("What is wanted.");
  expect(describe("core.v1.PodList")).toBe("Several objects of kind Pod.");
  expect(describe("core.v1.PodCondition", "status")).toContain("True, False");
});

test("describe: stays silent about what it does not know", () => {
  expect(describe("core.v1.Pod", "nonsense")).toBeUndefined();
  expect(describe("example.com.v1.Thing")).toBeUndefined();
  expect(describe("core.v1.Pod", "constructor")).toBeUndefined();
});

test("describe: says something about every served kind", () => {
  const silent = resourceDefinitions.filter(({ typeName }) => describe(typeName) === undefined);
  expect(silent.map(({ typeName }) => typeName)).toEqual([]);
});

test("describe: covers most fields that people write", () => {
  let all = 0;
  let described = 0;
  for (const [typeName, { fields }] of Object.entries(typeTable)) {
    for (const field of Object.keys(fields ?? {})) {
      all++;
      if (describe(typeName, field) !== undefined) described++;
    }
  }
  expect(described).toBeGreaterThan(all / 2);
});
