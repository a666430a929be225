import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger, SeededRandom } from "../../src/lib/index.ts";
import { systemClock } from "../../src/os/index.ts";
import { createCertificateAuthority } from "../../src/os/certificates.ts";
import {
  createCertificateRequest,
  createPrivateKey,
  issueFromRequest,
} from "../../src/os/certificate-requests.ts";
import type { Store } from "../../src/store/index.ts";
import { etcdObstacle, spawnEtcd } from "../../src/store/testing/spawn-etcd.ts";
import type { SpawnedEtcd } from "../../src/store/testing/spawn-etcd.ts";
import type { EtcdTls } from "../../src/store/index.ts";
import { openEtcdStore } from "../../src/store/index.ts";

const obstacle = etcdObstacle();

describe.skipIf(obstacle !== undefined)("openEtcdStore with TLS", () => {
  let etcd: SpawnedEtcd;
  let directory: string;
  let tls: { ca: string; certificate: string; privateKey: string };

  function open(given: EtcdTls | undefined): Promise<Store> {
    return openEtcdStore({
      endpoints: etcd.endpoints,
      clock: systemClock,
      random: new SeededRandom(1),
      logger: silentLogger,
      ...(given === undefined ? {} : { tls: given }),
    });
  }

  beforeAll(async () => {
    if (obstacle !== undefined) return;
    directory = mkdtempSync(join(tmpdir(), "kubun-etcd-tls-"));
    const ca = await createCertificateAuthority(Date.now());
    const privateKey = await createPrivateKey();
    const request = await createCertificateRequest(privateKey, { commonName: "etcd" });
    const certificate = await issueFromRequest(ca, request, {
      commonName: "etcd",
      organizations: [],
      names: ["127.0.0.1"],
      usages: ["server", "client"],
      days: 1,
      nowMs: Date.now(),
    });
    tls = { ca: ca.certificate, certificate, privateKey };
    const write = (name: string, text: string): string => {
      writeFileSync(join(directory, name), text, { mode: 0o600 });
      return join(directory, name);
    };
    etcd = await spawnEtcd({
      tls: {
        certificate: write("etcd.crt", certificate),
        privateKey: write("etcd.key", privateKey),
        ca: write("ca.crt", ca.certificate),
        client: { ca: ca.certificate, cert: certificate, key: privateKey },
      },
    });
  });
  afterAll(async () => {
    if (obstacle !== undefined) return;
    await etcd.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  test("openEtcdStore shows its certificate, and believes only the given authority", async () => {
    const store = await open(tls);
    const written = await store.create("/tls", new TextEncoder().encode("1"));
    expect(store.get("/tls")).toBe(written);
    await store.close();
    const { certificate, privateKey } = tls;
    expect(open({ certificate, privateKey })).rejects.toThrow("does not answer");
    expect(open({ ca: tls.ca })).rejects.toThrow("does not answer");
  });
});
