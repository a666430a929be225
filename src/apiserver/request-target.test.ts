import { expect, test } from "bun:test";
import { parseTarget, pathnameOf, queryOf } from "./request-target.ts";

function text(path: string): string {
  const target = parseTarget(path);
  if (target === undefined) return "refused";
  if (target.type === "path") return `path ${target.path}`;
  const { group, version, namespace, resource, name, subresource, rest } = target;
  const parts = [group, version, namespace, resource, name, subresource, rest.join("+")];
  return `${target.watchPath ? "watch " : ""}${parts.join("|")}`;
}

test("parseTarget: reads resources of every scope", () => {
  expect(text("/api/v1/pods")).toBe("|v1||pods|||");
  expect(text("/api/v1/namespaces/a/pods/p")).toBe("|v1|a|pods|p||");
  expect(text("/api/v1/namespaces/a/pods/p/log")).toBe("|v1|a|pods|p|log|");
  expect(text("/api/v1/nodes/n/status")).toBe("|v1||nodes|n|status|");
  expect(text("/apis/apps/v1/namespaces/a/deployments")).toBe("apps|v1|a|deployments|||");
  expect(text("/api/v1/nodes/n/proxy/a/b")).toBe("|v1||nodes|n|proxy|a+b");
});

test("parseTarget: knows a namespace from what is in it", () => {
  expect(text("/api/v1/namespaces")).toBe("|v1||namespaces|||");
  expect(text("/api/v1/namespaces/a")).toBe("|v1|a|namespaces|a||");
  expect(text("/api/v1/namespaces/a/")).toBe("|v1|a|namespaces|a||");
  expect(text("/api/v1/namespaces/a/finalize")).toBe("|v1|a|namespaces|a|finalize|");
  expect(text("/api/v1/namespaces/a/secrets")).toBe("|v1|a|secrets|||");
});

test("parseTarget: reads deprecated watch paths", () => {
  expect(text("/api/v1/watch/pods")).toBe("watch |v1||pods|||");
  expect(text("/api/v1/watch/namespaces/a/pods/p")).toBe("watch |v1|a|pods|p||");
  expect(text("/api/v1/watch/namespaces/a")).toBe("watch |v1|a|namespaces|a||");
  expect(text("/apis/apps/v1/watch/deployments")).toBe("watch apps|v1||deployments|||");
  expect(text("/api/v1/watch")).toBe("|v1||watch|||");
});

test("parseTarget: leaves other paths as they are", () => {
  for (const path of ["/api", "/apis", "/api/v1", "/apis/apps", "/apis/apps/v1", "/version", "/"]) {
    expect(text(path)).toBe(`path ${path}`);
  }
  expect(text("/apis/apps/v1/")).toBe("path /apis/apps/v1");
});

test("parseTarget: refuses what could be read in two ways", () => {
  const unclear = ["//api", "/api//v1", "/api/v1/../x/y", "/api/v1/%2e%2e", "/api/a%2Fb/c", "/%ff"];
  for (const path of unclear) expect(text(path)).toBe("refused");
  expect(text("/api/v1/namespaces/a/pods/p%3Aq")).toBe("|v1|a|pods|p:q||");
});

test("pathnameOf: cuts a URL at its path", () => {
  expect(pathnameOf("https://h:1/a/b?c=/d")).toBe("/a/b");
  expect(pathnameOf("http://h/a#b")).toBe("/a");
  expect(pathnameOf("http://h")).toBe("/");
  expect(queryOf("http://h/a?x=1&y=%20").get("y")).toBe(" ");
});
