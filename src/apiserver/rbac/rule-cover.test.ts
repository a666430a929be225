import { expect, test } from "bun:test";
import type { PolicyRule } from "../../api/index.ts";
import { randomInteger, SeededRandom } from "../../lib/index.ts";
import type { Attributes } from "../authorizer.ts";
import { allow, allowPaths } from "./policy-rules.ts";
import { missingRights, ruleText } from "./rule-cover.ts";
import { ruleAllows } from "./rule-match.ts";

const missing = (held: PolicyRule[], wanted: PolicyRule[]) =>
  missingRights(held, wanted).map(ruleText);

test("ruleAllows: reads verbs, groups, resources, names and paths as Kubernetes does", () => {
  const asks = (verb: string, what: string, more: object = {}): Attributes => {
    const [resource = "", subresource = ""] = what.split("/");
    const about = { resource, subresource, group: "", version: "v1", namespace: "x", name: "" };
    return { type: "resource", verb, ...about, ...more };
  };
  const table: [PolicyRule, Attributes, boolean][] = [
    [allow("get", "", "pods"), asks("get", "pods"), true],
    [allow("get", "", "pods"), asks("list", "pods"), false],
    [allow("get", "", "pods"), asks("get", "pods/log"), false],
    [allow("get", "", "pods/log"), asks("get", "pods/log"), true],
    [allow("get", "", "*/log"), asks("get", "pods/log"), true],
    [allow("get", "", "*/log"), asks("get", "pods"), false],
    [allow("get", "", "*/status"), asks("get", "pods/log"), false],
    [allow("*", "", "*"), asks("delete", "pods/log"), true],
    [allow("get", "*", "pods"), asks("get", "pods", { group: "metrics.k8s.io" }), true],
    [allow("get", "apps", "pods"), asks("get", "pods"), false],
    [allow("get", "", "pods", "a b"), asks("get", "pods", { name: "b" }), true],
    [allow("get", "", "pods", "a b"), asks("get", "pods", { name: "c" }), false],
    [allow("list", "", "pods", "a"), asks("list", "pods"), false],
    [allow("get", "", "pods"), asks("get", "*"), false],
    [allow("get", "", "pods"), { type: "path", verb: "get", path: "/pods" }, false],
    [allowPaths("get", "/healthz"), { type: "path", verb: "get", path: "/healthz/x" }, false],
    [allowPaths("get", "/healthz/*"), { type: "path", verb: "get", path: "/healthz/x" }, true],
    [allowPaths("get", "*"), { type: "path", verb: "get", path: "/x" }, true],
    [allowPaths("get", "*"), { type: "path", verb: "post", path: "/x" }, false],
    [allowPaths("get", "*"), asks("get", "pods"), false],
  ];
  for (const [rule, attributes, allowed] of table) {
    expect([rule, attributes, ruleAllows(rule, attributes)]).toEqual([rule, attributes, allowed]);
  }
});

test("missingRights: says what is not held, verb by verb", () => {
  expect(missing([allow("get list", "", "pods")], [allow("get", "", "pods")])).toEqual([]);
  expect(missing([allow("get", "", "pods")], [allow("get delete", "", "pods secrets")])).toEqual([
    '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "delete"]}',
    '{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}',
  ]);
  expect(missing([allow("*", "*", "*")], [allow("get", "apps", "deployments")])).toEqual([]);
  expect(missing([allow("get", "*", "*")], [allow("*", "*", "*")])).toEqual([
    '{APIGroups:["*"], Resources:["*"], Verbs:["*"]}',
  ]);
  expect(missing([allow("get", "", "pods", "a")], [allow("get", "", "pods")])).toHaveLength(1);
  expect(missing([allow("get", "", "pods", "a b")], [allow("get", "", "pods", "a c")])).toEqual([
    '{APIGroups:[""], Resources:["pods"], ResourceNames:["c"], Verbs:["get"]}',
  ]);
  expect(missing([allow("get", "", "*/scale")], [allow("get", "", "pods/scale")])).toEqual([]);
  expect(missing([allowPaths("get", "/a/*")], [allowPaths("get", "/a/b /b")])).toEqual([
    '{NonResourceURLs:["/b"], Verbs:["get"]}',
  ]);
  const halves = [allow("get", "", "pods"), allow("list", "", "pods")];
  expect(missing(halves, [allow("get list", "", "pods")])).toEqual([]);
});

test("missingRights: who lacks nothing may do everything that the wanted rules allow", () => {
  const random = new SeededRandom(1);
  const some = (from: readonly string[]): string[] => {
    const chosen = from.filter(() => random.float() < 0.4);
    return chosen.length > 0 ? chosen : [from[randomInteger(random, from.length)] ?? ""];
  };
  const verbs = ["get", "list", "*"];
  const groups = ["", "apps", "*"];
  const resources = ["pods", "pods/log", "*/log", "*"];
  const draw = (): PolicyRule => {
    const rule = allow(some(verbs).join(" "), "", some(resources).join(" "));
    const names = random.float() < 0.3 ? { resourceNames: some(["a", "b"]) } : {};
    return { ...rule, apiGroups: some(groups), ...names };
  };
  const requests: Attributes[] = [];
  for (const verb of ["get", "list", "delete", "*"]) {
    for (const group of ["", "apps", "batch", "*"]) {
      for (const what of ["pods", "pods/log", "jobs/log", "jobs", "*"]) {
        for (const name of ["", "a", "b", "c"]) {
          const [resource = "", subresource = ""] = what.split("/");
          const about = { group, version: "v1", resource, subresource, namespace: "x", name };
          requests.push({ type: "resource", verb, ...about });
        }
      }
    }
  }
  let covered = 0;
  for (let round = 0; round < 3_000; round++) {
    const held = [draw(), draw(), draw()];
    const wanted = [draw()];
    const isAllowed = (rules: PolicyRule[], request: Attributes) =>
      rules.some((rule) => ruleAllows(rule, request));
    const beyond = requests.filter(
      (request) => isAllowed(wanted, request) && !isAllowed(held, request),
    );
    if (missingRights(held, wanted).length > 0) continue;
    covered++;
    expect([held, wanted, beyond]).toEqual([held, wanted, []]);
  }
  expect(covered).toBeGreaterThan(100);
});
