import { expect, test } from "bun:test";
import { type Logger, SeededRandom, silentLogger } from "../lib/index.ts";
import { ADMIN_TOKEN, apiFixture } from "./testing/api-fixture.ts";
import type { ApiFixture } from "./testing/api-fixture.ts";
import { type RandomRequest, RandomRequests } from "./testing/random-requests.ts";

/*
 * By hand, for longer: FUZZ_SEED=7 FUZZ_REQUESTS=100000 bun test src/apiserver/bad-input.test.ts
 */
const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
const REQUESTS = Number(process.env["FUZZ_REQUESTS"] ?? 2000);
/** Each cluster takes so many requests, so that a failure needs few of them to be seen again. */
const REQUESTS_A_CLUSTER = 500;
const DEADLINE_MS = 61_000;

interface Outcome {
  readonly status: number;
  readonly text: string;
}

/** The answer; a request that waits for something gets to its deadline. */
async function outcomeOf(api: ApiFixture, request: RandomRequest): Promise<Outcome> {
  const { method, path, headers, body } = request;
  const progress = { settled: false };
  const init = { method, headers: { authorization: `Bearer ${ADMIN_TOKEN}`, ...headers } };
  const answer = Promise.resolve(
    api.app.request(path, body === undefined ? init : { ...init, body: body as BodyInit }),
  ).finally(() => (progress.settled = true));
  for (let turn = 0; !progress.settled; turn++) {
    if (turn > 200) api.clock.advance(DEADLINE_MS);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const response = await answer;
  const { status } = response;
  const isStream = method === "GET" && (path.includes("watch=1") || path.includes("/log"));
  if (!isStream) return { status, text: await response.text() };
  await response.body?.cancel();
  return { status, text: "" };
}

test(
  `createApiServer: answers no request with 500, seed ${SEED}`,
  async () => {
    const failures: unknown[] = [];
    let thrown: unknown;
    const logger: Logger = { ...silentLogger, error: (_message, fields) => (thrown = fields) };
    const seen = new Map<number, number>();
    for (let from = 0; from < REQUESTS; from += REQUESTS_A_CLUSTER) {
      const requests = new RandomRequests(new SeededRandom(SEED + from));
      const api = await apiFixture({ logger });
      for (let count = 0; count < REQUESTS_A_CLUSTER; count++) {
        const request = requests.next();
        const { status, text } = await outcomeOf(api, request);
        seen.set(status, (seen.get(status) ?? 0) + 1);
        if (status === 500) failures.push({ seed: SEED + from, count, text, thrown, ...request });
      }
      const ready = { method: "GET", path: "/readyz", headers: {}, body: undefined };
      expect((await outcomeOf(api, ready)).status).toBe(200);
    }
    expect(failures).toEqual([]);
    // What is mostly refused for the same reason looks at little.
    for (const status of [200, 201, 400, 404, 405, 409, 415, 422]) {
      expect([status, seen.get(status) ?? 0]).not.toEqual([status, 0]);
    }
  },
  60_000 + REQUESTS,
);

test("createApiServer: credentials that are none are refused", async () => {
  const api = await apiFixture();
  const unsigned = `${btoa('{"alg":"none"}')}.${btoa('{"sub":"system:admin"}')}.`;
  const tokens = [
    "Bearer",
    "Bearer  ",
    "Bearer nonsense",
    `Bearer ${ADMIN_TOKEN} more`,
    `Bearer ${ADMIN_TOKEN.toUpperCase()}`,
    `Bearer ${"a".repeat(20_000)}`,
    `Bearer ${unsigned}`,
    "Bearer a.b.c",
    "Bearer kubun-node.node-1.secret",
    "Bearer abcdef.0123456789abcdef",
    `Basic ${btoa(`admin:${ADMIN_TOKEN}`)}`,
    "Negotiate",
    "\u00ff\u00fe",
  ];
  for (const authorization of tokens) {
    const { status, json } = await api.send("GET", "/api/v1/secrets", undefined, { authorization });
    expect([authorization.slice(0, 40), status, json["reason"]]).toEqual([
      authorization.slice(0, 40),
      401,
      "Unauthorized",
    ]);
  }
});
