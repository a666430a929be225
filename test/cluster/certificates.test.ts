import { describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect } from "node:tls";
import { join } from "node:path";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { PROTOCOL_VERSION } from "../../src/os/peer/preface.ts";
import { RawPeer } from "../../src/os/testing/raw-peer.ts";
import { kubectlWith } from "../harness/real-kubectl.ts";
import { joinArgs, listMembers } from "../harness/server-group.ts";
import { spawnAgent, spawnWitness } from "../harness/spawned-machine.ts";
import { KUBUN, runCommand, spawnServer } from "../harness/spawned-server.ts";

const TEST_TIMEOUT_MS = 240_000;
const LIFETIME_MS = 30_000;
const SOON = { deadlineMs: 60_000 };
const MODULE = join(import.meta.dir, "..", "..", "workloads", "hello-http", "hello-http.wasm");
/** A machine that is refused says so now and then, not without end. */
const MAX_LINES_OF_A_LIFE = 120;

const pod = `
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  nodeSelector: {kubernetes.io/hostname: agent-1}
  containers: [{name: web, image: "hello-http:v1", ports: [{containerPort: 8080}]}]
`;

/** What a machine that joined shows the others, as it is on its disk. */
function joinedCertificate(dataDir: string): X509Certificate {
  const record: { answer: { certificate: string } } = JSON.parse(
    readFileSync(join(dataDir, "tls", "join.json"), "utf8"),
  );
  return new X509Certificate(record.answer.certificate);
}

function untilMs({ validTo }: X509Certificate): number {
  return Date.parse(validTo);
}

/** A connection for requests to a server's peer port, with the certificate of an agent. */
async function openedBy(agentDir: string, serverDir: string): Promise<RawPeer> {
  const read = (...path: string[]): string => readFileSync(join(...path), "utf8");
  const { peerPort }: { peerPort: number } = JSON.parse(read(serverDir, "settings.json"));
  const record: { answer: { clusterId: string } } = JSON.parse(read(agentDir, "tls", "join.json"));
  const [key, cert, ca] = ["peer.key", "peer.crt", "ca.crt"].map((name) =>
    read(agentDir, "tls", name),
  );
  const peer = new RawPeer(peerPort, { key: key ?? "", cert: cert ?? "", ca: ca ?? "" });
  const preface = { protocol: "http", version: PROTOCOL_VERSION, cluster: record.answer.clusterId };
  await peer.say(`${JSON.stringify(preface)}\n`);
  await eventually(() => peer.text !== "", SOON);
  return peer;
}

/** What an API server shows now. */
function shownBy(url: string): Promise<X509Certificate> {
  const { hostname, port } = new URL(url);
  const { promise, resolve, reject } = Promise.withResolvers<X509Certificate>();
  const how = { host: hostname, port: Number(port), rejectUnauthorized: false };
  const socket = connect(how, () => {
    resolve(new X509Certificate(socket.getPeerCertificate().raw));
    socket.destroy();
  });
  socket.on("error", reject);
  return promise;
}

describe("certificates of a cluster", () => {
  test(
    "certificates of a cluster are renewed while everything runs, and a removed node gets none",
    async () => {
      await using server = await spawnServer({
        args: [
          "--node-name=server-1",
          "--peer-port=0",
          `--cluster-signing-duration=${LIFETIME_MS}ms`,
        ],
      });
      const kubectl = kubectlWith(server.kubeconfig);
      const forServers = await joinArgs(server, "server");
      await using witness = await spawnWitness({ args: ["--node-name", "third", ...forServers] });
      const forAgents = await joinArgs(server, "agent");
      await using agent = await spawnAgent({ args: ["--node-name", "agent-1", ...forAgents] });
      const push = ["image", "push", MODULE, "hello-http:v1", "--data-dir", server.dataDir];
      await runCommand([KUBUN, ...push]);
      await eventually(() => kubectl.ok("wait", "--for=condition=Ready", "node/agent-1"), SOON);
      await eventually(
        async () => (await listMembers(server)).every(({ role }) => role !== "learner"),
        SOON,
      );
      await kubectl.feed(pod, "apply", "-f", "-");
      await kubectl.ok("wait", "--for=condition=Ready", "--timeout=60s", "pod/web");
      const machines = [agent, witness];
      const first = machines.map(({ dataDir }) => joinedCertificate(dataDir));
      const shown = await shownBy(server.url);

      await eventually(() => Date.now() > Math.max(...[...first, shown].map(untilMs)), SOON);
      for (const [index, { dataDir }] of machines.entries()) {
        const now = joinedCertificate(dataDir);
        expect(untilMs(now)).toBeGreaterThan(Date.now());
        expect(now.subject).toBe(first[index]?.subject ?? "");
      }
      expect(untilMs(await shownBy(server.url))).toBeGreaterThan(Date.now());

      // What was open has ended by now, or does here: everybody dials anew, and with the new ones.
      process.kill(witness.pid, "SIGSTOP");
      const during = ["create", "configmap", "without-the-witness", "--request-timeout=3s"];
      expect((await kubectl(...during)).exitCode).not.toBe(0);
      process.kill(witness.pid, "SIGCONT");
      await eventually(
        () => kubectl.ok("create", "configmap", "with-the-witness", "--request-timeout=10s"),
        SOON,
      );
      expect(await kubectl.ok("logs", "web")).toContain("hello-http: ready");
      for (const machine of [server, ...machines]) {
        expect(machine.output()).not.toContain("nobody caught");
      }

      const held = await openedBy(agent.dataDir, server.dataDir);
      expect(held.text).toBe('{"ok":true}\n');
      const secret = "secret/node-credential-agent-1";
      await kubectl.ok("-n", "kube-system", "delete", secret);
      await kubectl.ok("delete", "node", "agent-1");
      // Its certificate is good for a while yet, and opens nothing.
      await eventually(() => held.closed, SOON);
      const late = await openedBy(agent.dataDir, server.dataDir);
      expect(late.text).toContain("system:node:agent-1 is not known here");
      const before = agent.output().length;
      const last = joinedCertificate(agent.dataDir);
      await eventually(() => Date.now() > untilMs(last), SOON);
      expect(joinedCertificate(agent.dataDir).serialNumber).toBe(last.serialNumber);
      const lines = agent.output().slice(before).split("\n");
      expect(lines.filter((line) => line.includes("is not renewed yet")).length).toBeGreaterThan(0);
      expect(lines.length).toBeLessThan(MAX_LINES_OF_A_LIFE);
      expect(agent.output()).not.toContain("nobody caught");
    },
    TEST_TIMEOUT_MS,
  );
});
