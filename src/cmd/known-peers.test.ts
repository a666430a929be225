import { describe, expect, test } from "bun:test";
import { credentialSecret, nodeToken } from "../apiserver/index.ts";
import { ADMIN_TOKEN, apiFixture } from "../apiserver/testing/api-fixture.ts";
import { createClient } from "../client/index.ts";
import { drainMicrotasks, ManualClock, SeededRandom, silentLogger } from "../lib/index.ts";
import { eventually } from "../lib/testing/eventually.ts";
import { NODES_GROUP, SERVERS_GROUP, systemClock } from "../os/index.ts";
import type { PeerIdentity } from "../os/index.ts";
import { admitKnownPeers, knownToAgent, knownToServer, LOOK_INTERVAL_MS } from "./known-peers.ts";
import { FakeMembership } from "./testing/fake-membership.ts";

const node = (name: string): PeerIdentity => ({
  commonName: `system:node:${name}`,
  organizations: [NODES_GROUP],
});
const member = (id: number): PeerIdentity => ({
  commonName: `kubun:member:${id}`,
  organizations: [SERVERS_GROUP],
});
const NODE = (name: string) => ({ apiVersion: "v1", kind: "Node", metadata: { name } });
const SECRETS = "/api/v1/namespaces/kube-system/secrets";

describe("knownToServer", () => {
  test("knownToServer: nodes with a Node and a key, and the members", async () => {
    const { registry, send } = await apiFixture();
    const isKnown = knownToServer(new FakeMembership(), registry.present);
    expect([isKnown(member(1)), isKnown(member(2))]).toEqual([true, false]);
    expect(isKnown(node("pi"))).toBe(false);
    await send("POST", "/api/v1/nodes", NODE("pi"));
    expect(isKnown(node("pi"))).toBe(false);
    const secret = credentialSecret("pi", nodeToken("pi", "ab".repeat(32)));
    await send("POST", SECRETS, secret);
    expect(isKnown(node("pi"))).toBe(true);
    // Who says that it is a node is asked for a node's name.
    expect(isKnown({ ...member(1), organizations: [NODES_GROUP] })).toBe(false);
    await send("DELETE", `${SECRETS}/${secret.metadata.name}`);
    expect(isKnown(node("pi"))).toBe(false);
    await send("POST", SECRETS, secret);
    await send("DELETE", "/api/v1/nodes/pi");
    expect(isKnown(node("pi"))).toBe(false);
  });
});

describe("knownToAgent", () => {
  test("knownToAgent: everybody until the nodes are listed, then those, and servers", async () => {
    const { app, send } = await apiFixture();
    await send("POST", "/api/v1/nodes", NODE("pi"));
    const stop = new AbortController();
    const client = createClient({
      fetch: async (request) => app.fetch(request),
      token: ADMIN_TOKEN,
      userAgent: "test",
      clock: systemClock,
    });
    const isKnown = knownToAgent({
      client,
      clock: systemClock,
      random: new SeededRandom(1),
      logger: silentLogger,
      signal: stop.signal,
    });
    expect(isKnown(node("gone"))).toBe(true);
    await eventually(() => !isKnown(node("gone")));
    expect([isKnown(node("pi")), isKnown(member(9))]).toEqual([true, true]);
    await send("DELETE", "/api/v1/nodes/pi");
    await eventually(() => !isKnown(node("pi")));
    stop.abort();
  });
});

describe("admitKnownPeers", () => {
  test("admitKnownPeers asks again every few seconds, until it is told to end", async () => {
    const clock = new ManualClock();
    const stop = new AbortController();
    let looks = 0;
    let isKnown: ((peer: PeerIdentity) => boolean) | undefined;
    const running = admitKnownPeers({
      link: {
        admitOnly(given) {
          isKnown = given;
          return () => void looks++;
        },
      },
      isKnown: ({ commonName }) => commonName === "system:node:pi",
      clock,
      signal: stop.signal,
    });
    expect([isKnown?.(node("pi")), isKnown?.(node("other"))]).toEqual([true, false]);
    await clock.advanceAsync(3 * LOOK_INTERVAL_MS, LOOK_INTERVAL_MS);
    expect(looks).toBe(3);
    stop.abort();
    await drainMicrotasks();
    await running;
    expect(clock.pending).toBe(0);
  });
});
