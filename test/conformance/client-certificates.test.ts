import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createCertificateRequest, createPrivateKey } from "../../src/os/certificate-requests.ts";
import { type Kubectl, kubectlWith } from "../harness/real-kubectl.ts";
import { spawnServer } from "../harness/spawned-server.ts";
import type { SpawnedServer } from "../harness/spawned-server.ts";

const TIMEOUT_MS = 30_000;
const started: { server?: SpawnedServer; kubectl?: Kubectl } = {};

beforeAll(async () => {
  started.server = await spawnServer();
  started.kubectl = kubectlWith(started.server.kubeconfig);
}, TIMEOUT_MS);

afterAll(async () => {
  await started.server?.[Symbol.asyncDispose]();
});

test(
  "kubectl with a client certificate: is whom the approved request named",
  async () => {
    const { server, kubectl } = started;
    if (server === undefined || kubectl === undefined) throw new Error("nothing was started");
    const key = await createPrivateKey();
    const request = await createCertificateRequest(key, { commonName: "jane" });
    const csr = {
      apiVersion: "certificates.k8s.io/v1",
      kind: "CertificateSigningRequest",
      metadata: { name: "jane" },
      spec: {
        request: Buffer.from(request).toString("base64"),
        signerName: "kubernetes.io/kube-apiserver-client",
        usages: ["client auth"],
      },
    };
    await kubectl.feed(JSON.stringify(csr), "create", "-f", "-");
    await kubectl.ok("certificate", "approve", "jane");
    await kubectl.ok("wait", "csr/jane", "--for=jsonpath={.status.certificate}", "--timeout=10s");
    const encoded = await kubectl.ok("get", "csr", "jane", "-o", "jsonpath={.status.certificate}");
    const files = { cert: join(server.dataDir, "jane.crt"), key: join(server.dataDir, "jane.key") };
    writeFileSync(files.cert, Buffer.from(encoded, "base64"));
    writeFileSync(files.key, key);
    const shown = [`--client-certificate=${files.cert}`, `--client-key=${files.key}`];
    await kubectl.ok("config", "set-credentials", "jane", ...shown);
    const clusters = "jsonpath={.clusters[0].name}";
    const cluster = await kubectl.ok("config", "view", "-o", clusters);
    await kubectl.ok("config", "set-context", "jane", `--cluster=${cluster}`, "--user=jane");

    const whoami = await kubectl.ok("auth", "whoami", "--context=jane");
    expect(whoami).toMatch(/Username +jane\n/);
    expect(whoami).toMatch(/Groups +\[system:authenticated\]/);
    expect((await kubectl("get", "pods", "--context=jane")).stderr).toContain(
      'pods is forbidden: User "jane" cannot list resource "pods"',
    );
    await kubectl.ok("create", "rolebinding", "jane", "--clusterrole=edit", "--user=jane");
    expect(await kubectl.ok("create", "configmap", "hers", "--context=jane")).toContain("created");
  },
  TIMEOUT_MS,
);

test(
  "kubectl with a machine's certificate: is nobody",
  async () => {
    const { server } = started;
    if (server === undefined) throw new Error("nothing was started");
    const read = (name: string): Promise<string> =>
      Bun.file(join(server.dataDir, "tls", name)).text();
    const tls = { ca: server.ca, cert: await read("peer.crt"), key: await read("peer.key") };
    const answer = await fetch(`${server.url}/api/v1/namespaces`, { tls });
    expect(answer.status).toBe(401);
    expect(await answer.json()).toMatchObject({ reason: "Unauthorized", message: "Unauthorized" });
  },
  TIMEOUT_MS,
);
