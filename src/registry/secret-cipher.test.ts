import { describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findResource, SECRETS } from "../api/index.ts";
import type { KubeObject } from "../apimachinery/index.ts";
import { ManualClock, SeededRandom, silentLogger } from "../lib/index.ts";
import { MemoryStore } from "../lib/testing/memory-store.ts";
import { createDisk, systemClock } from "../os/index.ts";
import { openStore, type Store } from "../store/index.ts";
import { createRegistry, type Registry } from "./registry.ts";
import { assertReadable, isSealed, SecretCipher, SealedError } from "./secret-cipher.ts";

const PLAIN = "correct-horse-battery-staple";
const ENCODED = Buffer.from(PLAIN).toString("base64");
const KEY = "/registry/core/secrets/default/login";

const cipherOf = (byte: number): SecretCipher =>
  new SecretCipher(new Uint8Array(32).fill(byte), new SeededRandom(byte));

function registryOver(store: Store, secretCipher?: SecretCipher): Registry {
  return createRegistry({
    store,
    clock: new ManualClock(),
    random: new SeededRandom(1),
    logger: silentLogger,
    serviceCidr: "127.43.0.0/16",
    nodePortRange: { from: 30_000, to: 32_767 },
    ...(secretCipher && { secretCipher }),
  });
}

async function createSecret(registry: Registry, data = { password: ENCODED }): Promise<void> {
  await create(registry, "namespaces", "", { metadata: { name: "default" } });
  const annotations = { "kubectl.kubernetes.io/last-applied-configuration": PLAIN };
  const metadata = { name: "login", annotations };
  await create(registry, "secrets", "default", { metadata, type: "Opaque", data });
}

async function create(registry: Registry, resource: string, namespace: string, object: KubeObject) {
  const definition = findResource("", "v1", resource);
  if (definition === undefined) throw new Error(resource);
  await registry.resource(definition).create(namespace, object);
}

function bytesBelow(directory: string): Buffer {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true });
  const paths = files
    .filter((file) => file.isFile())
    .map((file) => join(file.parentPath, file.name));
  return Buffer.concat(paths.map((path) => readFileSync(path)));
}

describe("SecretCipher", () => {
  test("SecretCipher: neither log nor state nor snapshot holds what a Secret holds", async () => {
    const directory = mkdtempSync(join(tmpdir(), "kubun-sealed-"));
    try {
      const random = new SeededRandom(2);
      const disk = createDisk();
      const common = { disk, clock: systemClock, random, logger: silentLogger };
      const store = await openStore({ directory: join(directory, "store"), ...common });
      const registry = registryOver(store, cipherOf(7));
      await createSecret(registry);
      await store.snapshot(join(directory, "snapshot.db"));
      expect(registry.present.find(SECRETS, "default", "login")?.data?.["password"]).toBe(ENCODED);
      await store.close();
      const bytes = bytesBelow(directory);
      expect(bytes.includes(KEY)).toBe(true);
      expect([PLAIN, ENCODED].map((text) => bytes.includes(text))).toEqual([false, false]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test("SecretCipher: what was stored plain is read, and encrypted when it changes", async () => {
    const store = new MemoryStore();
    await createSecret(registryOver(store));
    expect(isSealed(store.get(KEY)?.value ?? new Uint8Array())).toBe(false);
    const registry = registryOver(store, cipherOf(7));
    const definition = findResource("", "v1", "secrets");
    if (definition === undefined) throw new Error("secrets are served");
    await registry.resource(definition).update("default", "login", (secret) => {
      expect(secret["data"]).toEqual({ password: ENCODED });
      return { ...secret, data: { password: ENCODED, more: ENCODED } };
    });
    expect(isSealed(store.get(KEY)?.value ?? new Uint8Array())).toBe(true);
    const list = await registry.resource(definition).list({ namespace: "default" });
    expect(list.items[0]?.json()).toContain(`"more":"${ENCODED}"`);
  });

  test("SecretCipher: another key opens nothing, nor does a value under another name", async () => {
    const store = new MemoryStore();
    const cipher = cipherOf(7);
    await createSecret(registryOver(store, cipher));
    expect(() => assertReadable(store, cipher)).not.toThrow();
    expect(() => assertReadable(store, cipherOf(8))).toThrow(SealedError);
    const value = store.get(KEY)?.value ?? new Uint8Array();
    expect(() => cipher.open(value, `${KEY}-2`)).toThrow("is not what was encrypted");
    expect(Buffer.from(cipher.open(value, KEY)).toString()).toContain(PLAIN);
  });
});
