import { pushImage } from "../../src/cli/index.ts";
import { DEPLOYMENTS, INGRESSES, SERVICES } from "../../src/client/index.ts";
import type { Client } from "../../src/client/index.ts";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { KUBUN } from "./spawned-server.ts";
import type { SpawnedServer } from "./spawned-server.ts";

const REPLICAS = 4;
const NAME = "rolling";
const ROLLED_WITHIN_MS = 60_000;
const REPLACED_WITHIN_MS = 30_000;

/** A Deployment of four behind an Ingress that takes every request; resolves when all are ready. */
export async function servedDeployment(server: SpawnedServer, module: Uint8Array): Promise<void> {
  const connection = { ...server, version: "", startedAt: "", server: server.url };
  await pushImage(connection, { reference: "rolling:v1", module });
  const { client } = server;
  await client.resource(DEPLOYMENTS, "default").create({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: NAME },
    spec: {
      replicas: REPLICAS,
      selector: { matchLabels: { app: NAME } },
      template: {
        metadata: { labels: { app: NAME } },
        spec: {
          containers: [
            {
              name: "web",
              image: "rolling:v1",
              ports: [{ containerPort: 8080 }],
              readinessProbe: { httpGet: { path: "/healthz", port: 8080 }, periodSeconds: 1 },
            },
          ],
        },
      },
    },
  });
  await client.resource(SERVICES, "default").create({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: NAME },
    spec: { selector: { app: NAME }, ports: [{ port: 80, targetPort: 8080 }] },
  });
  const backend = { service: { name: NAME, port: { number: 80 } } };
  await client.resource(INGRESSES, "default").create({
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: { name: NAME },
    spec: { rules: [{ http: { paths: [{ path: "/", pathType: "Prefix", backend }] } }] },
  });
  await rolled(client);
  await eventually(async () => (await fetch(server.ingress)).status === 200, {
    deadlineMs: ROLLED_WITHIN_MS,
    what: "Ingress answers",
  });
}

/** Replaces every pod of the Deployment. */
export async function rollOver(client: Client, round: number): Promise<void> {
  const template = { metadata: { annotations: { "kubun.dev/round": String(round) } } };
  const patch = { spec: { template } };
  await client.resource(DEPLOYMENTS, "default").patch(NAME, patch, { type: "merge" });
  await rolled(client);
}

async function rolled(client: Client): Promise<void> {
  await eventually(
    async () => {
      // A request may be lost with the process that it was asked of: it is asked again.
      const got = await client
        .resource(DEPLOYMENTS, "default")
        .get(NAME)
        .catch(() => undefined);
      const { metadata, spec, status } = got ?? {};
      return (
        status?.observedGeneration === metadata?.generation &&
        status?.updatedReplicas === spec?.replicas &&
        status?.availableReplicas === spec?.replicas &&
        status?.replicas === spec?.replicas
      );
    },
    { deadlineMs: ROLLED_WITHIN_MS, what: "the Deployment rolled over" },
  );
}

export interface ReplacedServer {
  readonly pid: number;
  /** From the start of the process until it answers. */
  readonly tookMs: number;
  output(): string;
  end(): Promise<void>;
}

/** Starts a process that takes the place of the server of this directory. */
export async function replaceServer(dataDir: string): Promise<ReplacedServer> {
  const startedMs = performance.now();
  const ports = ["--https-port", "0", "--http-port", "0", "--dns-port", "0"];
  const words = ["server", "--data-dir", dataDir, "--log-level", "warn", ...ports, "--take-over"];
  const child = Bun.spawn({
    cmd: [KUBUN, ...words, "--container-runtime-endpoint", "none"],
    env: process.env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const collect = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) output += decoder.decode(chunk, { stream: true });
  };
  void collect(child.stdout);
  void collect(child.stderr);
  await eventually(() => child.exitCode !== null || output.includes("kubeconfig:"), {
    deadlineMs: REPLACED_WITHIN_MS,
    what: "the successor answers",
  });
  if (child.exitCode !== null) throw new Error(`the successor ended:\n${output}`);
  return {
    pid: child.pid,
    tookMs: performance.now() - startedMs,
    output: () => output,
    async end() {
      child.kill("SIGUSR2");
      await child.exited;
    },
  };
}
