import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { podTraces } from "../harness/pod-traces.ts";
import { kubectlWith } from "../harness/real-kubectl.ts";
import { joinArgs, listMembers } from "../harness/server-group.ts";
import { KUBUN, runCommand, spawnServer, temporaryDirectory } from "../harness/spawned-server.ts";
import type { CommandResult, SpawnedServer } from "../harness/spawned-server.ts";

const TEST_TIMEOUT_MS = 120_000;
const SOON = { deadlineMs: 30_000 };

const root = join(import.meta.dir, "..", "..");
const MODULE = join(root, "workloads", "hello-http", "hello-http.wasm");
const pod = `
apiVersion: v1
kind: Pod
metadata: { name: web }
spec:
  nodeName: server-3
  containers: [{ name: web, image: hello-http:v1, ports: [{ containerPort: 8080 }] }]
`;

const own = (name: string): string[] => ["--node-name", name, "--peer-port", "0"];

function kubun(...args: string[]): Promise<CommandResult> {
  return runCommand([KUBUN, ...args]);
}

/** A server that is expected to end by itself, with words. */
function startInVain(name: string, dataDir: string, more: string[]): Promise<CommandResult> {
  const ports = ["--https-port", "0", "--http-port", "0"];
  return kubun("server", "--data-dir", dataDir, ...own(name), ...ports, ...more);
}

async function everybodyVotes(server: SpawnedServer, count: number): Promise<void> {
  await eventually(
    async () => {
      const members = await listMembers(server);
      return members.length === count && members.every(({ role }) => role === "voter");
    },
    { ...SOON, what: `${count} servers vote` },
  );
}

/** Moments of joining at which a machine may lose its power, by what is on its disk. */
const moments: Readonly<Record<string, (dataDir: string) => boolean>> = {
  "nothing was asked yet": (dataDir) => existsSync(join(dataDir, "tls")),
  "it was asked": (dataDir) => recordSays(dataDir, '"phase":"asking"'),
  "the answer is there": (dataDir) => recordSays(dataDir, '"phase":"joined"'),
  "the store begins": (dataDir) => existsSync(join(dataDir, "store", "member.json")),
};

function recordSays(dataDir: string, text: string): boolean {
  const path = join(dataDir, "tls", "join.json");
  return existsSync(path) && readFileSync(path, "utf8").includes(text);
}

describe("the servers of a cluster", () => {
  test(
    "the servers of a cluster: the founder is reached by the others where its flag says",
    async () => {
      const told = ["--peer-address", "founder.example"];
      await using first = await spawnServer({ args: [...own("server-1"), ...told] });
      const [member] = await listMembers(first);
      expect(member?.peerAddress).toStartWith("founder.example:");
      const answer = await first.request("/api/v1/nodes/server-1");
      expect(await answer.text()).toContain(`"kubun.dev/peer-address":"${member?.peerAddress}"`);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "the servers of a cluster: one that was removed ends, and comes back only as another",
    async () => {
      await using first = await spawnServer({ args: own("server-1") });
      const joining = await joinArgs(first, "server");
      await using second = await spawnServer({ args: [...own("server-2"), ...joining] });
      await using third = await spawnServer({ args: [...own("server-3"), ...joining] });
      await everybodyVotes(first, 3);

      const push = ["image", "push", MODULE, "hello-http:v1", "--data-dir", third.dataDir];
      expect(await kubun(...push)).toMatchObject({ exitCode: 0 });
      await kubectlWith(first.kubeconfig).feed(pod, "apply", "-f", "-");
      await eventually(() => podTraces(third.dataDir).recorded.length === 1, {
        ...SOON,
        what: "the pod runs on server-3",
      });

      // Asked of a follower, by the name of another one.
      const remove = ["member", "remove", "server-3", "--kubeconfig", second.kubeconfig];
      expect(await kubun(...remove)).toMatchObject({ exitCode: 0 });
      await eventually(() => third.output().includes("was removed from its cluster"), SOON);
      // Nobody will ever look after them again.
      await eventually(() => podTraces(third.dataDir).workers.length === 0, {
        ...SOON,
        what: "its pods end with it",
      });
      expect((await kubun(...remove)).stderr).toContain('there is no member "server-3"');
      await everybodyVotes(second, 2);

      const again = await startInVain("server-3", third.dataDir, []);
      expect(again.exitCode).not.toBe(0);
      expect(again.stderr).toContain("was removed from its cluster");
      const rejoined = await startInVain("server-3", third.dataDir, joining);
      expect(rejoined.exitCode).not.toBe(0);

      await using fourth = await spawnServer({ args: [...own("server-3"), ...joining] });
      await everybodyVotes(fourth, 3);

      // A disk that was emptied must not vote under the name it had.
      await second.end("SIGKILL");
      rmSync(`${second.dataDir}/store`, { recursive: true });
      const wiped = await startInVain("server-2", second.dataDir, []);
      expect(wiped.exitCode).not.toBe(0);
      expect(wiped.stderr).toContain("kubun member remove");
      const kubectl = kubectlWith(fourth.kubeconfig);
      await eventually(() => kubectl.ok("create", "configmap", "goes-on"), SOON);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "the servers of a cluster: one whose power fails while it joins joins when asked again",
    async () => {
      await using first = await spawnServer({ args: own("server-1") });
      const joining = await joinArgs(first, "server");
      const dataDir = temporaryDirectory();
      for (const [moment, reached] of Object.entries(moments)) {
        const ports = ["--https-port", "0", "--http-port", "0"];
        const child = Bun.spawn({
          cmd: [KUBUN, "server", "--data-dir", dataDir, ...own("server-2"), ...ports, ...joining],
          stdio: ["ignore", "ignore", "ignore"],
        });
        try {
          await eventually(() => reached(dataDir), { ...SOON, what: moment });
        } finally {
          child.kill("SIGKILL");
          await child.exited;
        }
      }
      await using second = await spawnServer({ dataDir, args: [...own("server-2"), ...joining] });
      await everybodyVotes(second, 2);
      const kubectl = kubectlWith(second.kubeconfig);
      await eventually(() => kubectl.ok("create", "configmap", "both-are-there"), SOON);
      await kubectlWith(first.kubeconfig).ok("get", "configmap", "both-are-there");
    },
    TEST_TIMEOUT_MS,
  );
});
