import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { join } from "node:path";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { kubectlWith } from "../harness/real-kubectl.ts";
import { KUBUN, runCommand, spawnServer } from "../harness/spawned-server.ts";
import type { SpawnedServer } from "../harness/spawned-server.ts";

const folder = join(import.meta.dir, "../../src/runtime/wasi/preview2/testdata/storage");
const TEST_TIMEOUT_MS = 120_000;

const PODS = `
apiVersion: v1
kind: Pod
metadata:
  name: keeper
  annotations:
    kubun.dev/sqlite-databases: default=/data/app.db
    kubun.dev/blob-containers: default=/data/blobs
spec:
  runtimeClassName: wasi
  restartPolicy: OnFailure
  containers:
    - name: keeper
      image: storage:v1
      args: [keeper, count, blob, greet, again]
      env: [{ name: GREETING, value: hello }]
      volumeMounts: [{ name: data, mountPath: /data }]
  volumes: [{ name: data, emptyDir: {} }]
---
apiVersion: v1
kind: Pod
metadata: { name: denied }
spec:
  runtimeClassName: wasi
  restartPolicy: Never
  containers:
    - { name: denied, image: storage:v1, args: [denied, count, blob] }
---
apiVersion: v1
kind: Pod
metadata: { name: echo }
spec:
  runtimeClassName: wasi
  restartPolicy: Never
  containers:
    - name: echo
      image: listener:v1
      ports: [{ containerPort: 9000 }]
`;

describe("components that keep things and listen", () => {
  let server: SpawnedServer;

  beforeAll(async () => {
    server = await spawnServer();
  }, TEST_TIMEOUT_MS);

  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  }, TEST_TIMEOUT_MS);

  const kubectl = (...args: string[]): Promise<string> =>
    kubectlWith(server.kubeconfig).ok(...args);

  async function push(name: string): Promise<string> {
    const image = [join(folder, `${name}.wasm`), `${name}:v1`];
    const command = [KUBUN, "image", "push", "--data-dir", server.dataDir, ...image];
    const { exitCode, stderr } = await runCommand(command);
    expect(exitCode).toBe(0);
    return stderr;
  }

  function echoed(host: string, line: string): Promise<string> {
    return new Promise((resolve, reject) => {
      let text = "";
      const socket = connect(9000, host, () => socket.end(line));
      socket.on("error", reject);
      socket.on("data", (chunk) => (text += chunk.toString()));
      socket.on("end", () => resolve(text));
    });
  }

  test(
    "components that keep things find them after a restart; one that listens is reached",
    async () => {
      const warnings = await push("storage");
      expect(warnings).toContain("kubun.dev/sqlite-databases");
      expect(warnings).toContain("kubun.dev/blob-containers");
      expect(await push("listener")).not.toContain("no pod will start");
      await kubectlWith(server.kubeconfig).feed(PODS, "apply", "-f", "-");

      const said = await eventually(async () => {
        const text = await kubectl("logs", "keeper");
        return text.includes("count 2") && text.includes("hello\n") ? text : undefined;
      });
      expect(said).toBe("count 2 half null\nblobs\nhello\n");

      const phase = ["get", "pod", "denied", "-o", "jsonpath={.status.phase}"];
      await eventually(async () => (await kubectl(...phase)) === "Failed");
      const denied = await kubectl("logs", "denied");
      expect(denied).toContain("no database 1\n");
      expect(denied).toContain("kubun.dev/sqlite-databases");
      expect(denied).toContain("kubun.dev/blob-containers");

      await kubectl("wait", "--for=condition=Ready", "pod/echo", "--timeout=30s");
      const address = await kubectl("get", "pod", "echo", "-o", "jsonpath={.status.podIP}");
      expect(await echoed(address, "hello")).toBe("hello");
      expect(await echoed(address, "q")).toBe("q");
      await kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/echo");
    },
    TEST_TIMEOUT_MS,
  );
});
