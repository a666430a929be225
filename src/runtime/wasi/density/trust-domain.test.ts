import { describe, expect, test } from "bun:test";
import type { ContainerRecord, SandboxRecord } from "../state-directory.ts";
import {
  DEFAULT_BLOCK_LIMIT_MS,
  GUESTS_OF_A_PROCESS,
  MAX_BLOCK_LIMIT_MS,
  SHARED_MAX_MEMORY_BYTES,
  trustDomain,
} from "./trust-domain.ts";

const SHARE = { "kubun.dev/share-worker": "true" };

function domainOf(
  sandbox: Partial<SandboxRecord>,
  record: Partial<ContainerRecord> = {},
  memoryLimitBytes?: number,
) {
  const pod = { namespace: "shop", name: "cart", serviceAccount: "cart", handler: "wasi" };
  const config = { name: "web", ...(memoryLimitBytes === undefined ? {} : { memoryLimitBytes }) };
  return trustDomain(
    { ...pod, annotations: SHARE, ...sandbox } as SandboxRecord,
    { id: "c", podUid: "u", config, ...record } as ContainerRecord,
  );
}

describe("trustDomain", () => {
  test("trustDomain is the namespace with the account", () => {
    const found = domainOf({});
    expect(found?.sharing).toMatchObject({ domain: "shop/cart", capacity: GUESTS_OF_A_PROCESS });
    expect(found?.seat).toEqual({
      capacity: GUESTS_OF_A_PROCESS,
      name: "shop/cart/web",
      blockLimitMs: DEFAULT_BLOCK_LIMIT_MS,
    });
  });

  test("trustDomain leaves a container a process of its own", () => {
    expect(domainOf({ annotations: {} })).toBeUndefined();
    expect(domainOf({ annotations: { "kubun.dev/share-worker": "false" } })).toBeUndefined();
    expect(domainOf({ handler: "wagi" })).toBeUndefined();
    expect(domainOf({ blockedOthers: true })).toBeUndefined();
    expect(domainOf({}, { componentDirectory: "/c" })).toBeUndefined();
    expect(domainOf({}, {}, SHARED_MAX_MEMORY_BYTES)).toBeDefined();
    expect(domainOf({}, {}, SHARED_MAX_MEMORY_BYTES + 1)).toBeUndefined();
    const nobody = { handler: "wasi", annotations: SHARE };
    expect(trustDomain(nobody as unknown as SandboxRecord, {} as ContainerRecord)).toBeUndefined();
  });

  test("trustDomain takes the request timeout for how long a guest may compute, to a bound", () => {
    const limitOf = (text: string) =>
      domainOf({ annotations: { ...SHARE, "kubun.dev/request-timeout": text } })?.seat.blockLimitMs;
    expect([limitOf("2s"), limitOf("10m")]).toEqual([2000, MAX_BLOCK_LIMIT_MS]);
    expect(() => limitOf("soon")).toThrow("kubun.dev/request-timeout");
  });

  test("trustDomain refuses an annotation that is neither true nor false", () => {
    const annotations = { "kubun.dev/share-worker": "yes" };
    expect(() => domainOf({ annotations })).toThrow('"yes": want "true" or "false"');
  });
});
