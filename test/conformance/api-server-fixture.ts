import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  ADMINISTRATORS,
  bootstrap,
  createApiServer,
  createTokenKeys,
  firstAuthenticator,
  ServiceAccountTokens,
  tokenAuthenticator,
} from "../../src/apiserver/index.ts";
import { writeKubeconfig } from "../../src/cmd/kubeconfig.ts";
import { silentLogger } from "../../src/lib/index.ts";
import { createCertificateAuthority, issueServerCertificate } from "../../src/os/certificates.ts";
import { createDisk, deriveClusterKeys, systemClock, systemRandom } from "../../src/os/index.ts";
import { createRegistry, SecretCipher } from "../../src/registry/index.ts";
import { openStore } from "../../src/store/index.ts";
import { type Kubectl, kubectlWith } from "../harness/real-kubectl.ts";

/** The API alone, over TLS and the real store, without the controllers that a server also runs. */
export interface ApiFixture {
  readonly kubectl: Kubectl;
  readonly kubeconfig: string;
  readonly url: string;
  /** fetch with the administrator's token. */
  request(path: string, init?: RequestInit): Promise<Response>;
  [Symbol.asyncDispose](): Promise<void>;
}

const TOKEN = "the-administrators-token";
const NODE_LOG = "line one\nline two\n";

export async function startApi(): Promise<ApiFixture> {
  const directory = mkdtempSync(join(tmpdir(), "kubun-api-"));
  const clock = systemClock;
  const random = systemRandom;
  const logger = silentLogger;
  const store = await openStore({
    directory: join(directory, "store"),
    disk: createDisk(),
    clock,
    random,
    logger,
  });
  const ca = await createCertificateAuthority(Date.now());
  const { tokenKey, secretsKey } = deriveClusterKeys(ca.privateKey);
  const registry = createRegistry({
    store,
    clock,
    random,
    logger,
    secretCipher: new SecretCipher(secretsKey, random),
    serviceCidr: "127.43.0.0/16",
    nodePortRange: { from: 30_000, to: 32_767 },
  });
  const keys = createTokenKeys(tokenKey);
  const accounts = new ServiceAccountTokens({ keys, present: registry.present, clock });
  const app = createApiServer({
    registry,
    clock,
    random,
    logger,
    authenticator: firstAuthenticator(
      tokenAuthenticator(new Map([[TOKEN, { name: "kubun-admin", groups: [ADMINISTRATORS] }]])),
      accounts,
    ),
    serviceAccountTokens: accounts,
    nodeConnector: (name) =>
      name === "node-1" ? () => Promise.resolve(new Response(NODE_LOG)) : undefined,
    version: {
      major: "1",
      minor: "36",
      gitVersion: "v1.36.0+kubun",
      gitCommit: "",
      platform: "linux/amd64",
    },
  });
  const names = ["127.0.0.1"];
  const server = await issueServerCertificate({ ca, names, nowMs: Date.now() });
  const listener = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    tls: { cert: server.certificate, key: server.privateKey },
    fetch: app.fetch,
  });
  const advertisePort = listener.port ?? 0;
  const servers = [{ address: "127.0.0.1", port: advertisePort }];
  await bootstrap({ registry, logger, servers });
  const url = `https://127.0.0.1:${advertisePort}`;
  const kubeconfig = join(directory, "kubeconfig.yaml");
  writeKubeconfig(kubeconfig, { server: url, ca: ca.certificate, token: TOKEN });
  return {
    kubectl: kubectlWith(kubeconfig),
    kubeconfig,
    url,
    request(path, init = {}) {
      const headers = new Headers(init.headers);
      headers.set("authorization", `Bearer ${TOKEN}`);
      return fetch(url + path, { ...init, headers, tls: { ca: ca.certificate } });
    },
    async [Symbol.asyncDispose]() {
      await listener.stop(true);
      await store.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
