import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { eventually } from "../../lib/testing/eventually.ts";
import { describeRuntime, type RuntimeFixture } from "../testing/runtime-contract.ts";
import { logFiles } from "../log-files.ts";
import { MAX_LOG_FILE_BYTES } from "./log-rotation.ts";
import type { OciRuntime } from "./oci-runtime.ts";
import { containerObstacle, OciLab } from "./testing/oci-lab.ts";

const obstacle = containerObstacle();
const TIMEOUT_MS = 30_000;

let lab: OciLab;
beforeAll(async () => {
  if (obstacle === undefined) lab = await OciLab.open();
}, TIMEOUT_MS);
afterAll(async () => {
  if (obstacle === undefined) await lab[Symbol.asyncDispose]();
}, TIMEOUT_MS);

if (obstacle === undefined) {
  describeRuntime("The container runtime", async () => lab.fixture());
}

async function startServer(runtime: OciRuntime, fixture: RuntimeFixture, name: string) {
  const sandbox = await runtime.runPodSandbox({
    name,
    namespace: "default",
    uid: `uid-${name}`,
    attempt: 0,
    ...fixture.podConfig,
  });
  await runtime.pullImage(fixture.serverImage, { signal: new AbortController().signal });
  const logPath = fixture.logPath(name);
  mkdirSync(dirname(logPath), { recursive: true });
  const id = await runtime.createContainer(sandbox.id, {
    name: "main",
    attempt: 0,
    image: fixture.serverImage,
    env: [],
    mounts: [],
    ports: [],
    logPath,
  });
  await runtime.startContainer(id);
  return { sandbox, id, logPath };
}

describe.skipIf(obstacle !== undefined)(
  `createOciRuntime${obstacle ? `: ${obstacle}` : ""}`,
  () => {
    test(
      "createOciRuntime finds running pods again after containerd was killed",
      async () => {
        const runtime = await lab.openRuntime();
        try {
          const { sandbox, id } = await startServer(runtime, lab.fixture(), "survivor");
          const before = await runtime.containerStatus(id);
          const killed = runtime.daemonPid ?? 0;
          process.kill(killed, "SIGKILL");
          expect(await (await lab.fetch(sandbox.ip, 8080, "/healthz")).text()).toBe("ok\n");
          await eventually(() => runtime.daemonPid !== undefined && runtime.daemonPid !== killed);
          await eventually(async () => (await runtime.containerStatus(id)).state === "running");
          expect(await runtime.containerStatus(id)).toEqual(before);
          expect(await runtime.podSandboxStatus(sandbox.id)).toEqual(sandbox);
          await runtime.stopContainer(id, { gracePeriodMs: 10_000 });
          expect((await runtime.containerStatus(id)).exitCode).toBe(143);
          await runtime.removePodSandbox(sandbox.id);
        } finally {
          runtime.shutdown();
        }
      },
      TIMEOUT_MS,
    );

    test(
      "createOciRuntime runs programs in a container, and tells how they ended",
      async () => {
        const runtime = await lab.openRuntime();
        try {
          const { sandbox, id } = await startServer(runtime, lab.fixture(), "exec");
          const run = (script: string) =>
            runtime.execSync(id, ["sh", "-c", script], { timeoutMs: 5000 });
          const ended = await run("echo out; echo err >&2; exit 7");
          expect(ended.exitCode).toBe(7);
          expect(new TextDecoder().decode(ended.stdout)).toBe("out\n");
          expect(new TextDecoder().decode(ended.stderr)).toBe("err\n");
          const late = await runtime
            .execSync(id, ["sleep", "60"], { timeoutMs: 1000 })
            .catch((error: unknown) => error);
          expect(late).toMatchObject({ code: "deadline" });
          await runtime.removePodSandbox(sandbox.id);
        } finally {
          runtime.shutdown();
        }
      },
      TIMEOUT_MS,
    );

    test(
      "createOciRuntime rotates a log that grew too large, while its program writes on",
      async () => {
        const runtime = await lab.openRuntime();
        try {
          const { sandbox, id, logPath } = await startServer(runtime, lab.fixture(), "flood");
          writeFileSync(logPath, Buffer.alloc(MAX_LOG_FILE_BYTES + 1, "x"));
          const rotated = logFiles(logPath).at(-2) ?? "";
          await eventually(() => Bun.file(rotated).exists());
          await runtime.execSync(id, ["sh", "-c", "echo later > /proc/1/fd/1"], {
            timeoutMs: 5000,
          });
          await eventually(async () => (await Bun.file(logPath).text()).includes("later"));
          await runtime.removePodSandbox(sandbox.id);
        } finally {
          runtime.shutdown();
        }
      },
      TIMEOUT_MS,
    );
  },
);
