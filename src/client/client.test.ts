import { describe, expect, test } from "bun:test";
import { drainMicrotasks, ManualClock } from "../lib/index.ts";
import type { Pod } from "../api/index.ts";
import { ApiError, isNotFound } from "./api-error.ts";
import { createClient, MAX_THROTTLE_RETRIES } from "./client.ts";
import { CONFIG_MAPS, NODES, PODS } from "./resources.ts";
import { FakeApi } from "./testing/fake-api.ts";

function setUp() {
  const clock = new ManualClock();
  const api = new FakeApi({ clock });
  const client = createClient({ fetch: api.fetch, userAgent: "test", clock });
  return { clock, api, client };
}

const pod = (name: string, labels: Record<string, string> = {}): Pod => ({
  metadata: { name, namespace: "default", labels },
  spec: { containers: [] },
});

describe("createClient", () => {
  test("createClient: sends token and user agent, and the body's type with a patch", async () => {
    const seen: Request[] = [];
    const client = createClient({
      fetch: (request) => {
        seen.push(request);
        return Promise.resolve(Response.json({ metadata: {} }));
      },
      baseUrl: "https://127.0.0.1:6443/",
      token: "t0ken",
      userAgent: "kubun/1",
    });
    await client.resource(PODS, "default").patch("a", { metadata: {} }, { type: "strategic" });
    expect(seen[0]?.url).toBe("https://127.0.0.1:6443/api/v1/namespaces/default/pods/a");
    expect(seen[0]?.headers.get("authorization")).toBe("Bearer t0ken");
    expect(seen[0]?.headers.get("user-agent")).toBe("kubun/1");
    expect(seen[0]?.headers.get("content-type")).toBe("application/strategic-merge-patch+json");
  });

  test("createClient: creates, gets, lists, updates and deletes", async () => {
    const { client } = setUp();
    const pods = client.resource(PODS, "default");
    const created = await pods.create(pod("a", { app: "x" }));
    expect(created.apiVersion).toBe("v1");
    await pods.create(pod("b"));
    const listed = await pods.list({ labelSelector: "app=x" });
    expect(listed.items.map(({ metadata, kind }) => [metadata.name, kind])).toEqual([["a", "Pod"]]);
    const updated = await pods.update({ ...created, spec: { containers: [], nodeName: "n" } });
    expect(updated.spec?.nodeName).toBe("n");
    await pods.delete("b");
    const error: unknown = await pods.get("b").catch((caught: unknown) => caught);
    expect(String(error)).toContain('pods "b" not found');
  });

  test("createClient: a failed answer is an ApiError with the Status", async () => {
    const { client } = setUp();
    const error = await client
      .resource(NODES)
      .get("none")
      .catch((caught: unknown) => caught);
    expect(isNotFound(error)).toBe(true);
    expect((error as ApiError).reason).toBe("NotFound");
  });

  test("createClient: an answer without a Status becomes one with its text", async () => {
    const client = createClient({
      fetch: () => Promise.resolve(new Response("bad gateway", { status: 502 })),
      userAgent: "test",
    });
    const error = await client
      .resource(NODES)
      .get("n")
      .catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ApiError);
    expect((error as ApiError).code).toBe(502);
    expect((error as ApiError).message).toBe("bad gateway");
  });

  test("createClient: a name in a namespaced resource needs a namespace", () => {
    const { client } = setUp();
    expect(() => client.resource(PODS).get("a")).toThrow("a namespace is needed");
  });

  test("createClient: 429 is repeated after Retry-After, a bounded number of times", async () => {
    const { clock, client, api } = setUp();
    let refusals = 0;
    api.fault = () => {
      refusals++;
      return new Response("{}", { status: 429, headers: { "retry-after": "2" } });
    };
    const outcome = client
      .resource(CONFIG_MAPS, "default")
      .list()
      .catch((error: unknown) => error);
    await drainMicrotasks();
    expect(refusals).toBe(1);
    for (let round = 0; round < MAX_THROTTLE_RETRIES; round++) await clock.advanceAsync(2000);
    expect(((await outcome) as ApiError).code).toBe(429);
    expect(refusals).toBe(MAX_THROTTLE_RETRIES + 1);
  });

  test("createClient: a call that never answers, or stops in the middle, is given up", async () => {
    const silent = () => new Promise<Response>(() => {});
    const stalled = () => Promise.resolve(new Response(new ReadableStream()));
    for (const fetch of [silent, stalled]) {
      const clock = new ManualClock();
      const client = createClient({ fetch, userAgent: "test", clock });
      const outcome = client
        .resource(NODES)
        .get("n")
        .catch((error: unknown) => String(error));
      await clock.advanceAsync(61_000);
      expect(await outcome).toContain("took over 60000 ms");
    }
  });

  test("createClient: a watch streams events until its signal aborts", async () => {
    const { client, api } = setUp();
    const stop = new AbortController();
    const types: string[] = [];
    const watching = (async () => {
      const events = client.resource(PODS).watch({ resourceVersion: "1", signal: stop.signal });
      for await (const event of events) types.push(`${event.type} ${event.object.metadata.name}`);
    })();
    await drainMicrotasks();
    const stored = api.seed(PODS, pod("a"));
    api.change(PODS, stored, (object) => void (object.metadata.labels = { x: "y" }));
    api.remove(PODS, stored);
    await drainMicrotasks();
    stop.abort();
    await watching;
    expect(types).toEqual(["ADDED a", "MODIFIED a", "DELETED a"]);
    expect(api.openWatches).toBe(0);
  });
});
