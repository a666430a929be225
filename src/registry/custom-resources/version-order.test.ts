import { expect, test } from "bun:test";
import { compareVersions } from "./version-order.ts";

test("compareVersions: orders versions as Kubernetes prefers them", () => {
  const versions = ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2"];
  const odd = ["foo1", "foo10"];
  expect([...odd, ...versions].reverse().sort(compareVersions)).toEqual([...versions, ...odd]);
});
