import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock, SeededRandom, silentLogger } from "../lib/index.ts";
import type { Fetch } from "../lib/index.ts";
import { eventually } from "../lib/testing/eventually.ts";
import { createDistributionApp } from "./distribution/distribution-app.ts";
import { createImageReplication, PUSH_WAIT_MS, REPLICATION_PATH } from "./image-replication.ts";
import type { ImageReplication } from "./image-replication.ts";
import { openImageStore, type ImageStore } from "./image-store.ts";
import { EMPTY_COMPONENT, EMPTY_MODULE } from "./testing/image-fixtures.ts";

interface Server {
  readonly name: string;
  readonly images: ImageStore;
  readonly replication: ImageReplication;
  readonly fetch: Fetch;
}

describe("images of several servers", () => {
  const names = ["a", "b", "c"];
  let root: string;
  let clock: ManualClock;
  let stop: AbortController;
  let down: Set<string>;
  let servers: Map<string, Server>;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "kubun-replication-"));
    clock = new ManualClock();
    stop = new AbortController();
    down = new Set();
    servers = new Map(names.map((name, seed) => [name, openServer(name, seed)]));
  });

  afterEach(async () => {
    stop.abort();
    for (const { images } of servers.values()) await images.close();
    rmSync(root, { recursive: true });
  });

  function openServer(name: string, seed: number): Server {
    const logger = silentLogger;
    const images = openImageStore({
      directory: join(root, name),
      logger,
      clock,
      clusterSources: () => others(name).map(({ fetch }) => fetch),
    });
    const random = new SeededRandom(seed);
    const peers = () => others(name);
    const options = { images, self: name, peers, clock, random, logger };
    const replication = createImageReplication(options);
    const distribution = createDistributionApp({ images, authorize: () => "allow" });
    const fetch: Fetch = async (request) => {
      if (down.has(name)) throw Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
      const { pathname } = new URL(request.url);
      if (pathname.startsWith(REPLICATION_PATH)) return replication.serve(request);
      return distribution.fetch(request);
    };
    return { name, images, replication, fetch };
  }

  function others(name: string): { name: string; fetch: Fetch }[] {
    if (down.has(name)) return [];
    return names
      .filter((other) => other !== name)
      .map((other) => ({
        name: other,
        fetch: (request) => server(other).fetch(request),
      }));
  }

  function server(name: string): Server {
    const found = servers.get(name);
    if (found === undefined) throw new Error(`no server ${name}`);
    return found;
  }

  const digestAt = (name: string, tag = "v1"): string | undefined =>
    server(name).images.registry.repositories.resolve("team/app", tag);

  /** Lets the comparisons of a minute and a half happen. */
  async function compare(): Promise<void> {
    for (let second = 0; second < 95; second++) {
      clock.advance(1000);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  test("createImageReplication: a push that was answered is at another server too", async () => {
    const { digest } = await server("a").images.pushModule("team/app:v1", EMPTY_MODULE);
    const holders = names.filter((name) => digestAt(name) === digest);
    expect(holders.length).toBeGreaterThanOrEqual(2);
    await eventually(() => names.every((name) => digestAt(name) === digest));
    down.add("a");
    const signal = new AbortController().signal;
    const pulled = await server("c").images.pull("team/app:v1", { signal });
    expect(pulled).toMatchObject({ digest, kind: "wasm" });
  });

  test("createImageReplication: the later push of a tag stands, a removal too", async () => {
    await server("a").images.pushModule("team/app:v1", EMPTY_MODULE);
    const { digest } = await server("b").images.pushModule("team/app:v1", EMPTY_COMPONENT);
    await eventually(() => names.every((name) => digestAt(name) === digest));
    await server("c").images.remove("team/app:v1");
    await eventually(() => names.every((name) => digestAt(name) === undefined));
  });

  test("createImageReplication: who was away catches up, and brings nothing back", async () => {
    await server("a").images.pushModule("team/app:old", EMPTY_MODULE);
    await eventually(() => names.every((name) => digestAt(name, "old") !== undefined));
    down.add("c");
    const { digest } = await server("a").images.pushModule("team/app:v1", EMPTY_COMPONENT);
    await server("b").images.remove("team/app:old");
    await eventually(() => digestAt("a", "old") === undefined);
    down.delete("c");
    for (const { replication } of servers.values()) replication.start(stop.signal);
    await compare();
    await eventually(() => digestAt("c") === digest && digestAt("c", "old") === undefined);
    expect(digestAt("a", "old")).toBeUndefined();
  });

  test("createImageReplication: a push with no other server in reach is answered", async () => {
    down.add("b").add("c");
    const { digest } = await server("a").images.pushModule("team/app:v1", EMPTY_MODULE);
    expect(digestAt("a")).toBe(digest);
    down.clear();
    const silent = createImageReplication({
      images: server("a").images,
      self: "a",
      peers: () => [{ name: "b", fetch: () => new Promise(() => undefined) }],
      clock,
      random: new SeededRandom(1),
      logger: silentLogger,
    });
    expect(silent).toBeDefined();
    const pushed = server("a").images.pushModule("team/app:v2", EMPTY_MODULE);
    let answered = false;
    void pushed.then(() => (answered = true));
    await eventually(() => digestAt("a", "v2") !== undefined);
    expect(answered).toBe(false);
    clock.advance(PUSH_WAIT_MS);
    await pushed;
  });

  test("createImageReplication: what is missing here is pulled from the servers", async () => {
    down.add("c");
    const { digest } = await server("a").images.pushModule("team/app:v1", EMPTY_MODULE);
    down.delete("c");
    const { signal } = new AbortController();
    expect(server("c").images.get("team/app:v1")).toBeUndefined();
    expect((await server("c").images.pull("team/app:v1", { signal })).digest).toBe(digest);
    expect(server("c").images.get("team/app:v1")?.digest).toBe(digest);
  });

  test("createImageReplication: refuses what is no announcement", async () => {
    const post = (body: string) =>
      server("a").fetch(
        new Request(`http://peer${REPLICATION_PATH}tags`, { method: "POST", body }),
      );
    expect((await post("nonsense")).status).toBe(400);
    const state = { repository: "../x", tag: "v1", at: 1 };
    expect((await post(JSON.stringify({ from: "b", state }))).status).toBe(400);
    expect((await server("a").fetch(new Request(`http://peer${REPLICATION_PATH}x`))).status).toBe(
      404,
    );
  });
});
