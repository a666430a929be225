import { describe, expect, test } from "bun:test";
import { newJoinToken, secretOfToken } from "../apiserver/index.ts";
import type { JoinToken } from "../apiserver/index.ts";
import { apiFixture } from "../apiserver/testing/api-fixture.ts";
import { ManualClock, SeededRandom } from "../lib/index.ts";
import { clusterTokens } from "./cluster-api.ts";

const SECRETS = "/api/v1/namespaces/kube-system/secrets";

describe("clusterTokens", () => {
  test("clusterTokens: says why a token is not taken to who has its secret", async () => {
    const { registry, send } = await apiFixture();
    const clock = new ManualClock();
    const tokens = clusterTokens(registry, clock);
    const random = new SeededRandom(7);
    const bearer = ({ id, secret }: JoinToken): string => `${id}.${secret}`;
    const expiresMs = clock.now() + 1_000;
    const token = newJoinToken(random, { role: "agent", expiresMs });
    await send("POST", SECRETS, secretOfToken(token));
    expect(await tokens.verify(bearer(token), "agent")).toEqual({ type: "valid", id: token.id });
    expect(await tokens.verify(bearer(token), "server")).toEqual({ type: "other-role" });
    clock.advance(2_000);
    expect(await tokens.verify(bearer(token), "agent")).toEqual({ type: "expired" });
    const guess = `${token.id}.${"a".repeat(16)}`;
    expect(await tokens.verify(guess, "agent")).toEqual({ type: "unknown" });
  });
});
