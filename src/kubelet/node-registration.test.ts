import { describe, expect, test } from "bun:test";
import type { Node } from "../api/index.ts";
import { ADMIN_TOKEN, apiFixture } from "../apiserver/testing/api-fixture.ts";
import { createClient, isNotFound, NODES } from "../client/index.ts";
import type { ResourceClient } from "../client/index.ts";
import type { Logger } from "../lib/index.ts";
import { SeededRandom } from "../lib/index.ts";
import type { KubeletOptions } from "./kubelet-options.ts";
import { NodeRegistration, STATUS_INTERVAL_MS, WARN_AGAIN_MS } from "./node-registration.ts";

const NAME = "pi";
const HOUR_MS = 60 * 60 * 1000;

describe("NodeRegistration", () => {
  async function registered(): Promise<{
    readonly nodes: ResourceClient<Node>;
    readonly warnings: string[];
    readonly advance: (byMs: number) => Promise<void>;
    /** Answers everything with 401 from now on. */
    readonly revoke: () => void;
    readonly stop: () => Promise<void>;
  }> {
    const { app, clock } = await apiFixture();
    const warnings: string[] = [];
    const quiet = (): void => undefined;
    const logger: Logger = {
      debug: quiet,
      info: quiet,
      warn: (message) => void warnings.push(message),
      error: (message) => void warnings.push(message),
      child: () => logger,
    };
    let revoked = false;
    const client = createClient({
      fetch: async (request) =>
        revoked ? Response.json({ code: 401 }, { status: 401 }) : app.fetch(request),
      token: ADMIN_TOKEN,
      userAgent: "test",
      clock,
    });
    const runtime = {
      handlers: [],
      listImages: () => Promise.resolve([]),
      updateRuntimeConfig: () => Promise.resolve(),
    };
    const options = {
      nodeName: NAME,
      client,
      runtime,
      clock,
      random: new SeededRandom(1),
      logger,
      nodeAddress: "127.0.0.1",
      peerAddress: "127.0.0.1:10250",
      podCidr: "127.42.0.0/20",
      capacity: { cpuMillis: 1_000, memoryBytes: 2 ** 30, ephemeralStorageBytes: 2 ** 30 },
      kubeletVersion: "v1.36.0",
      machine: { architecture: "amd64", kernelVersion: "6", osImage: "Bun" },
    };
    const registration = new NodeRegistration(options as unknown as KubeletOptions, () =>
      Promise.resolve(),
    );
    const abort = new AbortController();
    await registration.register(abort.signal);
    await registration.tellReady(abort.signal);
    const running = registration.run(abort.signal);
    return {
      nodes: client.resource(NODES),
      warnings,
      advance: (byMs) => clock.advanceAsync(byMs, 1_000),
      revoke: () => {
        revoked = true;
      },
      async stop() {
        abort.abort();
        await running;
      },
    };
  }

  test("NodeRegistration makes its Node again that was deleted while it ran", async () => {
    const { nodes, warnings, advance, stop } = await registered();
    const before = await nodes.get(NAME);
    await nodes.delete(NAME);
    const gone = await nodes.get(NAME).catch((error: unknown) => error);
    expect(isNotFound(gone)).toBe(true);
    await advance(STATUS_INTERVAL_MS + 20_000);
    const after = await nodes.get(NAME);
    expect(after.metadata.uid).not.toBe(before.metadata.uid);
    const ready = after.status?.conditions?.find(({ type }) => type === "Ready");
    expect(ready?.status).toBe("True");
    expect(warnings.length).toBeLessThan(5);
    await stop();
  });

  test("NodeRegistration whose key was revoked goes on, and says so once a minute", async () => {
    const { warnings, advance, revoke, stop } = await registered();
    revoke();
    await advance(HOUR_MS / 4);
    expect(warnings.length).toBeGreaterThan(5);
    expect(warnings.length).toBeLessThanOrEqual(HOUR_MS / 4 / WARN_AGAIN_MS + 2);
    await stop();
  });
});
