import { expect, test } from "bun:test";
import { SeededRandom } from "../../lib/index.ts";
import { apiFixture } from "../testing/api-fixture.ts";
import {
  deleteEndedTokens,
  findJoinToken,
  isExpired,
  newJoinToken,
  secretOfToken,
  tokenOfSecret,
} from "./join-tokens.ts";

const random = new SeededRandom(11);
const SECRETS = "/api/v1/namespaces/kube-system/secrets";

test("newJoinToken: makes ids and secrets as Kubernetes has them, each its own", () => {
  const tokens = Array.from({ length: 100 }, () => newJoinToken(random, { role: "agent" }));
  for (const { id, secret } of tokens) {
    expect(`${id}.${secret}`).toMatch(/^[a-z0-9]{6}\.[a-z0-9]{16}$/);
  }
  expect(new Set(tokens.map(({ secret }) => secret)).size).toBe(100);
});

test("tokenOfSecret: reads what secretOfToken wrote, and nothing else", () => {
  const full = { role: "server", expiresMs: 1_767_225_600_000, description: "rack 2" } as const;
  for (const rest of [{ role: "agent" } as const, full]) {
    const token = newJoinToken(random, rest);
    expect(tokenOfSecret(secretOfToken(token))).toEqual(token);
  }
  const secret = secretOfToken(newJoinToken(random, full));
  expect(tokenOfSecret({ ...secret, type: "Opaque" })).toBeUndefined();
  expect(
    tokenOfSecret({ ...secret, metadata: { name: secret.metadata.name ?? "" } }),
  ).toBeUndefined();
  const renamed = { ...secret, metadata: { ...secret.metadata, name: "bootstrap-token-abcdef" } };
  expect(tokenOfSecret(renamed)).toBeUndefined();
  expect(tokenOfSecret({ ...secret, data: {} })).toBeUndefined();
  const unreadable = { ...secret.data, expiration: Buffer.from("soon").toString("base64") };
  const token = tokenOfSecret({ ...secret, data: unreadable });
  expect(token !== undefined && isExpired(token, 1)).toBe(true);
});

test("findJoinToken: finds a token until it is revoked, and says when it has ended", async () => {
  const { registry, send } = await apiFixture();
  const token = newJoinToken(random, { role: "agent", expiresMs: 1_000_000 });
  const bearer = `${token.id}.${token.secret}`;
  expect(await findJoinToken(registry, bearer)).toBeUndefined();
  expect((await send("POST", SECRETS, secretOfToken(token))).status).toBe(201);
  expect(await findJoinToken(registry, bearer)).toEqual(token);
  expect([isExpired(token, 999_999), isExpired(token, 1_000_000)]).toEqual([false, true]);
  for (const wrong of ["", "x", `${token.id}.`, `${token.id}.${"a".repeat(16)}`, `${bearer}x`]) {
    expect(await findJoinToken(registry, wrong)).toBeUndefined();
  }
  expect((await send("DELETE", `${SECRETS}/bootstrap-token-${token.id}`)).status).toBe(200);
  expect(await findJoinToken(registry, bearer)).toBeUndefined();
});

test("deleteEndedTokens: takes what has ended, and no other Secret", async () => {
  const { registry, send } = await apiFixture();
  const ended = newJoinToken(random, { role: "agent", expiresMs: 1_000 });
  const later = newJoinToken(random, { role: "agent", expiresMs: 2_000 });
  const endless = newJoinToken(random, { role: "server" });
  for (const token of [ended, later, endless]) {
    await send("POST", SECRETS, secretOfToken(token));
  }
  await send("POST", SECRETS, { metadata: { name: "other" } });
  expect(await deleteEndedTokens(registry, 1_000)).toEqual([ended.id]);
  expect(await deleteEndedTokens(registry, 1_000)).toEqual([]);
  for (const { id } of [later, endless]) {
    expect((await send("GET", `${SECRETS}/bootstrap-token-${id}`)).status).toBe(200);
  }
  expect((await send("GET", `${SECRETS}/other`)).status).toBe(200);
});
