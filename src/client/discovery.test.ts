import { describe, expect, test } from "bun:test";
import { ManualClock } from "../lib/index.ts";
import { createClient } from "./client.ts";
import { discoverResources } from "./discovery.ts";
import { failure, FakeApi } from "./testing/fake-api.ts";

describe("discoverResources", () => {
  test("discoverResources: finds every resource with its verbs", async () => {
    const api = new FakeApi({ clock: new ManualClock() });
    const client = createClient({ fetch: api.fetch, userAgent: "test" });
    const { resources, failures } = await discoverResources(client);
    expect(failures).toEqual([]);
    expect(resources.find(({ resource }) => resource === "deployments")).toMatchObject({
      group: "apps",
      version: "v1",
      kind: "Deployment",
      namespaced: true,
      verbs: expect.arrayContaining(["list", "watch", "delete"]),
    });
  });

  test("discoverResources: names the groups it could not read and goes on", async () => {
    const api = new FakeApi({ clock: new ManualClock() });
    const client = createClient({
      fetch: (request) =>
        request.url.endsWith("/apis/apps/v1")
          ? Promise.resolve(failure(503, "ServiceUnavailable", "away"))
          : api.fetch(request),
      userAgent: "test",
    });
    const { resources, failures } = await discoverResources(client);
    expect(failures).toEqual(["apps/v1: away"]);
    expect(resources.some(({ resource }) => resource === "pods")).toBe(true);
  });
});
