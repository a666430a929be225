import { generateKeyPairSync } from "node:crypto";
import type { Hono } from "hono";
import { type Fetch, ManualClock, SeededRandom, silentLogger } from "../../lib/index.ts";
import { createRegistry, type Registry } from "../../registry/index.ts";
import { MemoryStore } from "../../lib/testing/memory-store.ts";
import { type ApiServerOptions, createApiServer } from "../api-server.ts";
import { firstAuthenticator, tokenAuthenticator } from "../authenticator.ts";
import { bootstrap } from "../bootstrap.ts";
import { nodeAuthenticator } from "../joining/node-credentials.ts";
import { bootstrapTokenAuthenticator } from "../tokens/bootstrap-tokens.ts";
import { ServiceAccountTokens } from "../tokens/service-account-tokens.ts";
import { createTokenKeys } from "../tokens/token-keys.ts";
import { ADMINISTRATORS } from "../user.ts";

export const ADMIN_TOKEN = "admin-token";
export const USER_TOKEN = "user-token";

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body parsed; empty for answers that are not JSON. */
  readonly json: Readonly<Record<string, unknown>>;
}

export interface ApiFixture {
  readonly app: Hono;
  readonly registry: Registry;
  readonly store: MemoryStore;
  readonly clock: ManualClock;
  /** As the administrator; objects are sent as JSON, texts as they are. */
  send(method: string, path: string, body?: unknown, headers?: HeadersInit): Promise<Reply>;
}

/** The whole API over a store in memory, bootstrapped. */
export async function apiFixture(
  options: Partial<ApiServerOptions> & { readonly node?: Fetch } = {},
): Promise<ApiFixture> {
  const store = new MemoryStore();
  const clock = new ManualClock();
  const random = new SeededRandom(3);
  const logger = silentLogger;
  const registry = createRegistry({
    store,
    clock,
    random,
    logger,
    serviceCidr: "127.43.0.0/16",
    nodePortRange: { from: 30_000, to: 32_767 },
  });
  await bootstrap({ registry, logger, servers: [{ address: "127.0.0.1", port: 6443 }] });
  const { node, ...rest } = options;
  const { present } = registry;
  const keys = createTokenKeys(testTokenKey());
  const serviceAccountTokens = new ServiceAccountTokens({ keys, present, clock });
  const app = createApiServer({
    registry,
    clock,
    random,
    logger,
    authenticator: firstAuthenticator(
      tokenAuthenticator(
        new Map([
          [ADMIN_TOKEN, { name: "admin", groups: [ADMINISTRATORS] }],
          [USER_TOKEN, { name: "bob", groups: [] }],
        ]),
      ),
      nodeAuthenticator(present),
      serviceAccountTokens,
      bootstrapTokenAuthenticator(present, clock),
    ),
    serviceAccountTokens,
    nodeConnector: (name) => (name === "node-1" ? node : undefined),
    version: {
      major: "1",
      minor: "36",
      gitVersion: "v1.36.0",
      gitCommit: "",
      platform: "linux/amd64",
    },
    ...rest,
  });
  return {
    app,
    registry,
    store,
    clock,
    async send(method, path, body, headers = {}) {
      const all = new Headers(headers);
      if (all.get("authorization") === "") all.delete("authorization");
      else if (!all.has("authorization")) all.set("authorization", `Bearer ${ADMIN_TOKEN}`);
      const raw = typeof body === "string" || body instanceof Uint8Array;
      if (body !== undefined && !all.has("content-type")) {
        all.set("content-type", "application/json");
      }
      const text = raw ? (body as BodyInit) : JSON.stringify(body);
      const init = body === undefined ? {} : { body: text };
      const response = await app.request(path, { method, headers: all, ...init });
      return replyOf(response);
    },
  };
}

/** What tokens are signed with here: any key will do. */
function testTokenKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "pem" });
}

async function replyOf(response: Response): Promise<Reply> {
  const text = await response.text();
  const isJson = (response.headers.get("content-type") ?? "").startsWith("application/json");
  const json = (isJson && text !== "" ? JSON.parse(text) : {}) as Reply["json"];
  return { status: response.status, headers: response.headers, text, json };
}

/** Reads the lines of a watch until so many have come, then ends it. */
export async function watchLines(
  app: Hono,
  path: string,
  count: number,
  headers: Record<string, string> = {},
): Promise<Readonly<Record<string, unknown>>[]> {
  const response = await app.request(path, {
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, ...headers },
  });
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (text.split("\n").length <= count) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
  }
  await reader.cancel();
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

export const MAPS = "/api/v1/namespaces/default/configmaps";
export const PODS = "/api/v1/namespaces/default/pods";
export const DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments";

export function podBody(name: string, spec: Record<string, unknown> = {}) {
  return { metadata: { name }, spec: { containers: [{ name: "app", image: "app:1" }], ...spec } };
}

export function deploymentBody(name: string, replicas = 2) {
  const labels = { app: name };
  const template = { metadata: { labels }, spec: podBody(name).spec };
  return { metadata: { name }, spec: { replicas, selector: { matchLabels: labels }, template } };
}
