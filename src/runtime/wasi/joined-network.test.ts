import { describe, expect, test } from "bun:test";
import { mkdirSync, readlinkSync } from "node:fs";
import { dirname } from "node:path";
import { WasiFixture } from "./testing/wasi-fixture.ts";

const TIMEOUT_MS = 20_000;
const PORT = 8080;
const namespace = `kubun-join-${process.pid}`;

const possible =
  process.platform === "linux" &&
  process.getuid?.() === 0 &&
  ["ip", "nsenter"].every((tool) => Bun.which(tool) !== null);

function ip(...words: string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["ip", ...words]);
  if (exitCode !== 0) throw new Error(`ip ${words.join(" ")}: ${stderr.toString()}`);
  return stdout.toString();
}

describe.skipIf(!possible)("createWasiRuntime in a pod's network", () => {
  test(
    "createWasiRuntime runs a pod that joins a network in it, where localhost reaches it",
    async () => {
      const fixture = new WasiFixture({ warmWorkers: 0 });
      ip("netns", "add", namespace);
      try {
        ip("-n", namespace, "link", "set", "lo", "up");
        const { runtime, close } = await fixture.open();
        const sandbox = await runtime.runPodSandbox({
          name: "web",
          namespace: "default",
          uid: "uid-web",
          attempt: 0,
          joins: { ip: "10.42.12.9", namespacePath: `/var/run/netns/${namespace}` },
        });
        expect(sandbox.ip).toBe("10.42.12.9");
        const logPath = fixture.logPath("web");
        mkdirSync(dirname(logPath), { recursive: true });
        const id = await runtime.createContainer(sandbox.id, {
          name: "main",
          attempt: 0,
          image: fixture.serverImage,
          env: [],
          mounts: [],
          ports: [{ port: PORT, protocol: "TCP" }],
          logPath,
        });
        await runtime.startContainer(id);
        const { pid, warnings } = await runtime.containerStatus(id);
        expect(warnings).toEqual([]);
        expect(readlinkSync(`/proc/${pid}/ns/net`)).not.toBe(readlinkSync("/proc/self/ns/net"));
        const script = `const { status } = await fetch("http://127.0.0.1:${PORT}/healthz");
          console.log(status);`;
        expect(ip("netns", "exec", namespace, process.execPath, "-e", script)).toBe("200\n");
        // The machine reaches it by its socket, wherever it runs.
        const answer = await fixture.fetch(runtime, sandbox.ip, PORT, "/healthz");
        expect(answer.status).toBe(200);
        await runtime.removePodSandbox(sandbox.id);
        await close();
      } finally {
        await fixture.dispose();
        ip("netns", "del", namespace);
      }
    },
    TIMEOUT_MS,
  );
});
