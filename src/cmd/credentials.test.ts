import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createPrivateKey } from "../os/certificate-requests.ts";
import { ensureCredentials, ensurePeerIdentity } from "./credentials.ts";
import type { Credentials } from "./credentials.ts";
import { createDataDirectory } from "./data-directory.ts";
import type { DataDirectory } from "./data-directory.ts";

const root = mkdtempSync(join(tmpdir(), "kubun-credentials-"));
const NOW_MS = Date.UTC(2026, 0, 1);
const DAY_MS = 24 * 60 * 60 * 1000;
const NAMES = ["localhost", "127.0.0.1"];
let directories = 0;

describe("ensureCredentials", () => {
  let directory: DataDirectory;
  let first: Credentials;

  beforeEach(async () => {
    directory = createDataDirectory(join(root, `d${directories++}`));
    first = await ensureCredentials(directory, { names: NAMES, nowMs: NOW_MS });
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  test("ensureCredentials keeps a certificate until a third of its life is left", async () => {
    const at = (days: number) =>
      ensureCredentials(directory, { names: NAMES, nowMs: NOW_MS + days * DAY_MS });
    expect(await at(240)).toEqual(first);
    const renewed = await at(245);
    expect(renewed.server.certificate).not.toBe(first.server.certificate);
    expect(renewed.ca).toEqual(first.ca);
  });

  test("ensureCredentials makes another one for another name, and for a given life", async () => {
    const names = [...NAMES, "kubun.example"];
    const lifetimeMs = 60_000;
    const { server } = await ensureCredentials(directory, { names, nowMs: NOW_MS, lifetimeMs });
    const parsed = new X509Certificate(server.certificate);
    expect(parsed.checkHost("kubun.example")).toBe("kubun.example");
    expect(Date.parse(parsed.validTo)).toBe(NOW_MS + lifetimeMs);
    expect(Date.parse(parsed.validFrom)).toBe(NOW_MS - lifetimeMs / 10);
  });

  test("ensureCredentials mends a crash between the key and its certificate", async () => {
    const own = { memberId: 5, nowMs: NOW_MS };
    const peer = await ensurePeerIdentity(directory, first.ca, own);
    for (const name of ["server", "peer"]) {
      writeFileSync(join(directory.tls, `${name}.key`), await createPrivateKey());
    }
    const { server } = await ensureCredentials(directory, { names: NAMES, nowMs: NOW_MS });
    const again = await ensurePeerIdentity(directory, first.ca, own);
    expect(server.certificate).not.toBe(first.server.certificate);
    expect(again.certificate).not.toBe(peer.certificate);
    for (const [name, pair] of Object.entries({ server, peer: again })) {
      expect(readFileSync(join(directory.tls, `${name}.key`), "utf8")).toBe(pair.privateKey);
    }
    expect(await ensurePeerIdentity(directory, first.ca, own)).toEqual(again);
  });
});
