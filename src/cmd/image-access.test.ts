import { expect, test } from "bun:test";
import { imageAccess } from "./image-access.ts";

const administrator = { name: "kubun:admin", groups: ["system:masters"] };
const node = { name: "system:node:agent-1", groups: ["system:nodes", "system:authenticated"] };

test("imageAccess: a node pulls images and replaces none", () => {
  expect(imageAccess(node, "GET")).toBe("allow");
  expect(imageAccess(node, "HEAD")).toBe("allow");
  for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
    expect(imageAccess(node, method)).toBe("forbidden");
    expect(imageAccess(administrator, method)).toBe("allow");
    expect(imageAccess(undefined, method)).toBe("unauthenticated");
  }
  expect(imageAccess(undefined, "GET")).toBe("unauthenticated");
});
