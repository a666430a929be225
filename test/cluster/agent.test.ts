import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Pod } from "../../src/api/index.ts";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { buildNetworkLab, labObstacle } from "../harness/network-lab.ts";
import type { LabHost } from "../harness/network-lab.ts";
import { realClient } from "../harness/real-kubectl.ts";
import { joinArgs } from "../harness/server-group.ts";
import { spawnAgent } from "../harness/spawned-machine.ts";
import { KUBUN, runCommand, spawnServer } from "../harness/spawned-server.ts";

const obstacle = await labObstacle();
const root = join(import.meta.dir, "..", "..");
const MODULE = join(root, "workloads", "hello-http", "hello-http.wasm");
const TEST_TIMEOUT_MS = 180_000;
const GRACE_PERIOD = "15s";

const manifest = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      tolerations:
      - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 1}
      - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 1}
      containers:
      - name: web
        image: hello-http:v1
        ports: [{containerPort: 8080}]
        readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080, nodePort: 30880}]
`;

/** Runs a command in a host and expects it to succeed. */
async function run(host: LabHost, cmd: readonly string[], stdin?: string): Promise<string> {
  const result = await runCommand(host.command(cmd), {
    env: { HOME: "/nonexistent" },
    ...(stdin === undefined ? {} : { stdin }),
  });
  if (result.exitCode !== 0) throw new Error(`${cmd.join(" ")}: ${result.stderr}`);
  return result.stdout;
}

/** What a GET answers, asked from within a host. */
function get(from: LabHost, url: string): Promise<string> {
  const script = `const r = await fetch(${JSON.stringify(url)}, {signal: AbortSignal.timeout(3000)});
    if (!r.ok) throw new Error(String(r.status)); process.stdout.write(await r.text());`;
  return run(from, [process.execPath, "-e", script]);
}

describe.skipIf(obstacle !== undefined)("an agent on another machine", () => {
  test(
    "an agent on another machine: runs pods, wakes what sleeps, is reached, is replaced and returns",
    async () => {
      await using lab = await buildNetworkLab(3);
      const [serverHost, agentHost, client] = lab.hosts;
      if (serverHost === undefined || agentHost === undefined || client === undefined) {
        throw new Error("the laboratory has three hosts");
      }
      await using server = await spawnServer({
        command: serverHost.command,
        args: `--bind-address ${serverHost.address} --node-name server-1 --peer-port 0
          --node-monitor-grace-period ${GRACE_PERIOD}`.split(/\s+/),
      });
      await using agent = await spawnAgent({
        command: agentHost.command,
        args: [
          `--bind-address=${agentHost.address}`,
          "--node-name=agent-1",
          ...(await joinArgs(server, "agent", serverHost)),
        ],
      });
      const kubectl = (...args: string[]): Promise<string> =>
        run(client, [realClient("kubectl"), "--kubeconfig", server.kubeconfig, ...args]);
      const pods = async (): Promise<Pod[]> => {
        const list = JSON.parse(await kubectl("get", "pods", "-l", "app=web", "-o", "json"));
        return (list as { items: Pod[] }).items;
      };
      const readyOn = async (node: string): Promise<Pod[]> =>
        (await pods()).filter(
          (pod) =>
            pod.spec?.nodeName === node &&
            pod.metadata.deletionTimestamp === undefined &&
            pod.status?.conditions?.some(
              ({ type, status }) => type === "Ready" && status === "True",
            ),
        );
      const soon = { deadlineMs: 60_000 };

      const push = ["image", "push", MODULE, "hello-http:v1", "--data-dir", server.dataDir];
      await run(serverHost, [KUBUN, ...push]);
      await eventually(() => kubectl("wait", "--for=condition=Ready", "node/agent-1"), soon);
      await kubectl("cordon", "server-1");
      const apply = [realClient("kubectl"), "--kubeconfig", server.kubeconfig, "apply", "-f", "-"];
      await run(client, apply, manifest);
      const bothOnAgent = () =>
        eventually(
          async () => {
            const ready = await readyOn("agent-1");
            return ready.length === 2 ? ready : undefined;
          },
          { ...soon, what: "both pods run on the agent's node" },
        );
      await bothOnAgent();
      const answers = async (): Promise<void> => {
        for (const { address } of [serverHost, agentHost]) {
          const url = `http://${address}:30880/healthz`;
          expect(await eventually(() => get(client, url), soon)).toContain("ok");
        }
      };
      await answers();

      // It sleeps when the proxies of both nodes are quiet; the agent's, with its key, wakes it.
      await kubectl("annotate", "deployment/web", "kubun.dev/scale-to-zero=3s");
      await eventually(async () => (await pods()).length === 0, { ...soon, what: "it sleeps" });
      expect(await get(client, `http://${agentHost.address}:30880/healthz`)).toContain("ok");
      expect(await readyOn("agent-1")).toHaveLength(1);
      await kubectl("annotate", "deployment/web", "kubun.dev/scale-to-zero-");
      await kubectl("scale", "deployment/web", "--replicas=2");
      const first = await bothOnAgent();
      await answers();
      const name = first[0]?.metadata.name ?? "";
      expect(await kubectl("logs", name)).toContain("hello-http: ready");

      await kubectl("uncordon", "server-1");
      await lab.isolate(agentHost);
      await eventually(async () => (await readyOn("server-1")).length === 2, {
        ...soon,
        what: "the pods are replaced on the other node",
      });
      await eventually(() => get(client, `http://${serverHost.address}:30880/healthz`), soon);

      await lab.heal();
      await eventually(() => kubectl("wait", "--for=condition=Ready", "node/agent-1"), soon);
      const remaining = await eventually(
        async () => {
          const all = await pods();
          return all.length === 2 ? all : undefined;
        },
        { ...soon, what: "the former pods are gone" },
      );
      expect(remaining.map((pod) => pod.spec?.nodeName)).toEqual(["server-1", "server-1"]);
      const workers = await runCommand(["ip", "netns", "pids", agentHost.namespace]);
      const commands = await Promise.all(
        workers.stdout
          .trim()
          .split("\n")
          .map((pid) =>
            Bun.file(`/proc/${pid}/environ`)
              .text()
              .catch(() => ""),
          ),
      );
      const uids = first.map((pod) => pod.metadata.uid ?? "");
      expect(commands.filter((text) => uids.some((uid) => text.includes(uid)))).toEqual([]);
      expect(agent.output()).not.toContain("nobody caught");
    },
    TEST_TIMEOUT_MS,
  );
});
