import { expect, test } from "bun:test";
import type { Pod } from "../api/index.ts";
import { rfc3339 } from "../apimachinery/index.ts";
import { createClient } from "../client/index.ts";
import { drainMicrotasks, ManualClock, silentLogger } from "../lib/index.ts";
import { ServiceAccountPodTokens, TOKEN_CHECK_INTERVAL_MS } from "./service-account-token.ts";

const projection = { path: "token", expirationSeconds: 3607 };
const pod: Pod = {
  metadata: { name: "web", namespace: "default", uid: "u1" },
  spec: {
    containers: [],
    serviceAccountName: "default",
    volumes: [{ name: "access", projected: { sources: [{ serviceAccountToken: projection }] } }],
  },
};

/** An API that gives tokens "t1", "t2", … unless it is told to fail. */
function tokensWorld() {
  const clock = new ManualClock();
  const asked: unknown[] = [];
  const answers = { failing: 0 };
  const client = createClient({
    userAgent: "test",
    fetch: async (request) => {
      if (answers.failing > 0) {
        answers.failing--;
        const reason = "NotFound";
        const message = 'serviceaccounts "default" not found';
        const status = { kind: "Status", status: "Failure", code: 404, reason, message };
        return Response.json(status, { status: 404 });
      }
      const { spec } = (await request.json()) as { spec: { expirationSeconds: number } };
      asked.push(spec);
      const expirationTimestamp = rfc3339(clock.now() + spec.expirationSeconds * 1000);
      return Response.json({ status: { token: `t${asked.length}`, expirationTimestamp } });
    },
  });
  const tokens = new ServiceAccountPodTokens({ client, clock, logger: silentLogger });
  return { clock, asked, answers, tokens };
}

test("ServiceAccountPodTokens: asks once a pod, and again when it is time", async () => {
  const { clock, asked, tokens } = tokensWorld();
  expect((await tokens.of(pod))(projection)).toBe("t1");
  expect((await tokens.of(pod))(projection)).toBe("t1");
  expect(asked).toEqual([
    {
      audiences: [],
      expirationSeconds: 3607,
      boundObjectRef: { kind: "Pod", apiVersion: "v1", name: "web", uid: "u1" },
    },
  ]);
  const stop = new AbortController();
  const renewed: string[] = [];
  const running = tokens.run(
    stop.signal,
    () => [pod],
    (uids) => renewed.push(...uids),
  );
  for (let minutes = 0; minutes < 47; minutes++) {
    clock.advance(TOKEN_CHECK_INTERVAL_MS);
    await drainMicrotasks();
  }
  expect(renewed).toEqual([]);
  for (let minutes = 0; minutes < 2; minutes++) {
    clock.advance(TOKEN_CHECK_INTERVAL_MS);
    await drainMicrotasks();
  }
  expect(renewed).toEqual(["u1"]);
  expect((await tokens.of(pod))(projection)).toBe("t2");
  stop.abort();
  await running;
});

test("ServiceAccountPodTokens: waits for accounts, keeps what lasts", async () => {
  const { clock, answers, tokens } = tokensWorld();
  answers.failing = 2;
  const early = tokens.of(pod);
  for (let round = 0; round < 10; round++) {
    await drainMicrotasks();
    clock.advance(50);
  }
  expect((await early)(projection)).toBe("t1");
  clock.advance(3_000_000);
  answers.failing = 1000;
  const late = async () => {
    const again = tokens.of(pod).then(
      (found) => found(projection),
      (error: unknown) => String(error),
    );
    for (let round = 0; round < 20; round++) {
      await drainMicrotasks();
      clock.advance(50);
    }
    return again;
  };
  expect(await late()).toBe("t1");
  clock.advance(3_000_000);
  expect(await late()).toBe(
    'VolumeError: MountVolume.SetUp failed for volume "access" : failed to fetch token: ' +
      'serviceaccounts "default" not found',
  );
});
