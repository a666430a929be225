import { describe, expect, test } from "bun:test";
import type { Pod } from "../api/index.ts";
import { drainMicrotasks, ManualClock, SeededRandom, silentLogger } from "../lib/index.ts";
import { createClient } from "./client.ts";
import { createFailoverFetch, READ_ANSWER_TIMEOUT_MS } from "./failover-fetch.ts";
import { createInformer } from "./informer.ts";
import { PODS } from "./resources.ts";
import { serversIn } from "./server-list.ts";
import { FakeApi } from "./testing/fake-api.ts";

type Behaviour = "up" | "refused" | "reset" | "silent" | "leaderless" | "not-done";

function setUp(first: Behaviour = "up", second: Behaviour = "up") {
  const clock = new ManualClock();
  const api = new FakeApi({ clock });
  const behaviours = new Map<string, Behaviour>([
    ["https://a:1", first],
    ["https://b:1", second],
  ]);
  const asked: string[] = [];
  const fetchTo = (server: string, request: Request): Promise<Response> => {
    asked.push(`${request.method} ${server}`);
    const fail = (code: string) => Promise.reject(Object.assign(new Error(code), { code }));
    switch (behaviours.get(server) ?? "up") {
      case "refused":
        return fail("ECONNREFUSED");
      case "reset":
        return fail("ECONNRESET");
      case "silent":
        return new Promise(() => undefined);
      case "leaderless":
        return Promise.resolve(new Response("no leader", { status: 503 }));
      case "not-done": {
        const headers = { "retry-after": "1" };
        return Promise.resolve(new Response("no leader", { status: 503, headers }));
      }
      case "up":
        return api.fetch(request);
    }
  };
  const options = { clock, random: new SeededRandom(3), logger: silentLogger, fetchTo };
  const servers = ["https://a:1", "https://b:1"];
  const fetch = createFailoverFetch({ ...options, servers: () => servers });
  const client = createClient({ fetch, userAgent: "test", clock });
  return { clock, api, behaviours, asked, servers, fetch, client };
}

const pod = (name: string): Pod => ({
  metadata: { name, namespace: "default" },
  spec: { containers: [] },
});

describe("createFailoverFetch", () => {
  test("createFailoverFetch: stays with the server that answers", async () => {
    const { client, asked } = setUp();
    for (let call = 0; call < 3; call++) await client.resource(PODS, "default").list();
    expect(new Set(asked).size).toBe(1);
  });

  for (const behaviour of ["refused", "reset", "leaderless", "not-done"] as const) {
    test(`createFailoverFetch: a read goes elsewhere when a server is ${behaviour}`, async () => {
      const { client, asked, behaviours } = setUp(behaviour, behaviour);
      behaviours.set("https://b:1", "up");
      await client.resource(PODS, "default").list();
      await client.resource(PODS, "default").list();
      expect(asked.at(-1)).toBe("GET https://b:1");
      expect(asked.filter((one) => one.includes("//a")).length).toBeLessThanOrEqual(1);
    });
  }

  test("createFailoverFetch: requests that begin together begin at one server", async () => {
    const { client, asked } = setUp();
    const pods = client.resource(PODS, "default");
    await Promise.all([pods.list(), pods.list(), pods.list(), pods.list()]);
    expect(new Set(asked).size).toBe(1);
  });

  test("createFailoverFetch: a write is sent again only when it was not done", async () => {
    for (const [behaviour, sends] of [
      ["refused", 2],
      ["not-done", 2],
      ["reset", 1],
      ["leaderless", 1],
    ] as const) {
      const { client, asked, behaviours, servers } = setUp();
      await client.resource(PODS, "default").list();
      const current = asked[0]?.slice("GET ".length) ?? "";
      behaviours.set(current, behaviour);
      asked.length = 0;
      const created = client.resource(PODS, "default").create(pod("a"));
      const failed = await created.then(
        () => false,
        () => true,
      );
      expect([behaviour, asked.length, failed]).toEqual([behaviour, sends, sends === 1]);
      // What failed moves on all the same: the next request meets another server.
      if (behaviour === "leaderless") continue;
      await client.resource(PODS, "default").list();
      expect(asked.at(-1)).toBe(`GET ${servers.find((one) => one !== current)}`);
    }
  });

  test("createFailoverFetch: a silent server is left, its watches go on elsewhere", async () => {
    const { clock, api, asked, behaviours, client } = setUp();
    const { informer, seen, stop } = follow(client, clock);
    await informer.synced();
    await drainMicrotasks();
    const current = asked[0]?.slice("GET ".length) ?? "";
    behaviours.set(current, "silent");
    asked.length = 0;
    const list = client.resource(PODS, "default").list();
    await drainMicrotasks();
    await clock.advanceAsync(READ_ANSWER_TIMEOUT_MS);
    await list;
    await clock.advanceAsync(1000);
    api.seed(PODS, pod("late"));
    await drainMicrotasks();
    expect(seen).toEqual(["late"]);
    expect(asked.filter((one) => one === `GET ${current}`)).toHaveLength(1);
    stop.abort();
  });

  test("createFailoverFetch: while no server answers, watches stay", async () => {
    const { clock, api, behaviours, client, asked } = setUp();
    const { informer, seen, stop } = follow(client, clock);
    await informer.synced();
    await drainMicrotasks();
    for (const server of behaviours.keys()) behaviours.set(server, "not-done");
    asked.length = 0;
    const created = client.resource(PODS, "default").create(pod("a"));
    const failed = created.catch((error: unknown) => error);
    await drainMicrotasks();
    await clock.advanceAsync(1000);
    expect(String(await failed)).toContain("no leader");
    expect(asked).toHaveLength(4);
    api.seed(PODS, pod("late"));
    await drainMicrotasks();
    expect(seen).toEqual(["late"]);
    stop.abort();
  });

  test("createFailoverFetch: a caller that gives up on a silent server moves on", async () => {
    const { clock, asked, behaviours, fetch, client } = setUp();
    await client.resource(PODS, "default").list();
    const current = asked[0]?.slice("GET ".length) ?? "";
    behaviours.set(current, "silent");
    const giveUp = new AbortController();
    const request = new Request("http://localhost/api", { signal: giveUp.signal });
    const failed = fetch(request).catch((error: unknown) => error);
    await drainMicrotasks();
    await clock.advanceAsync(6000);
    giveUp.abort(new Error("enough"));
    expect(String(await failed)).toContain("enough");
    asked.length = 0;
    await client.resource(PODS, "default").list();
    expect(asked).not.toContain(`GET ${current}`);
  });

  function follow(client: ReturnType<typeof createClient>, clock: ManualClock) {
    const stop = new AbortController();
    const informer = createInformer(client, PODS, { clock, logger: silentLogger });
    const seen: (string | undefined)[] = [];
    informer.addHandler({ onAdd: ({ metadata }) => seen.push(metadata.name) });
    informer.start(stop.signal);
    return { informer, seen, stop };
  }
});

describe("serversIn", () => {
  test("serversIn: each ready endpoint once, in order", () => {
    const ports = [{ name: "https", port: 6443 }];
    const slice = (...addresses: string[]) => ({
      metadata: { name: "kubernetes" },
      addressType: "IPv4",
      ports,
      endpoints: addresses.map((address) => ({ addresses: [address] })),
    });
    const gone = { addresses: ["10.0.0.9"], conditions: { ready: false } };
    const slices = [slice("10.0.0.2", "10.0.0.1"), { ...slice(), endpoints: [gone] }];
    expect(serversIn(slices)).toEqual(["https://10.0.0.1:6443", "https://10.0.0.2:6443"]);
  });
});
