import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { kubectlWith, realClient } from "../harness/real-kubectl.ts";
import { joinArgs } from "../harness/server-group.ts";
import { spawnAgent } from "../harness/spawned-machine.ts";
import { KUBUN, runCommand, spawnServer } from "../harness/spawned-server.ts";
import type { SpawnedServer } from "../harness/spawned-server.ts";

const root = join(import.meta.dir, "..", "..");
const MODULE = join(root, "workloads", "hello-http", "hello-http.wasm");
const TEST_TIMEOUT_MS = 90_000;

/** Runs `kubectl port-forward` on a free port while `use` asks what is behind it. */
async function forwarded(
  { kubeconfig }: SpawnedServer,
  what: string,
  use: (url: string) => Promise<void>,
  given: Readonly<Record<string, string>> = {},
): Promise<void> {
  const port = what.startsWith("service/") ? ":80" : ":8080";
  const command = [realClient("kubectl"), "--kubeconfig", kubeconfig, "port-forward", what, port];
  const env = { ...process.env, ...given };
  const child = Bun.spawn(command, { stdout: "pipe", stderr: "pipe", env });
  try {
    const { value } = await child.stdout.getReader().read();
    const address = /127\.0\.0\.1:\d+/.exec(new TextDecoder().decode(value))?.[0];
    await use(`http://${address}`);
  } finally {
    child.kill("SIGTERM");
    await child.exited;
  }
}

describe("kubectl port-forward", () => {
  test(
    "kubectl port-forward: reaches pods and Services of every node, and says what is not there",
    async () => {
      await using server = await spawnServer({
        args: ["--node-name", "server-1", "--peer-port", "0"],
      });
      await using agent = await spawnAgent({
        args: ["--node-name", "agent-1", ...(await joinArgs(server, "agent"))],
      });
      const kubectl = kubectlWith(server.kubeconfig);
      await runCommand([KUBUN, "image", "push", MODULE, "hello:v1", "--data-dir", server.dataDir]);
      for (const node of ["server-1", "agent-1"]) {
        const overrides = JSON.stringify({ spec: { nodeName: node } });
        const image = ["--image=hello:v1", "--port=8080", `--overrides=${overrides}`];
        await kubectl.ok("run", `on-${node}`, ...image);
        await kubectl.ok("wait", "--for=condition=Ready", `pod/on-${node}`, "--timeout=30s");
        await forwarded(server, `pod/on-${node}`, async (url) => {
          // Several at once share the one connection of kubectl.
          const answers = await Promise.all(
            Array.from({ length: 8 }, async () => (await fetch(url)).text()),
          );
          for (const answer of answers) expect(answer).toContain(`this is on-${node}`);
        });
        const shell = await kubectl("exec", `on-${node}`, "--", "sh");
        expect(shell.stderr).toContain(
          "pods/exec is not possible: a WASM container runs one program and has no shell",
        );
      }
      await kubectl.ok("expose", "pod", "on-agent-1", "--port=80", "--target-port=8080");
      const answers = async (url: string): Promise<void> => {
        const text = await eventually(async () => (await fetch(url)).text());
        expect(text).toContain("this is on-agent-1");
      };
      await forwarded(server, "service/on-agent-1", answers);
      // What kubectl did before it knew of WebSockets.
      const spdy = { KUBECTL_PORT_FORWARD_WEBSOCKETS: "false" };
      await forwarded(server, "service/on-agent-1", answers, spdy);
      const missing = await kubectl("port-forward", "pod/nobody", ":80");
      expect(missing.stderr).toContain('pods "nobody" not found');
      expect(agent.output()).not.toContain("nobody caught");
    },
    TEST_TIMEOUT_MS,
  );
});
