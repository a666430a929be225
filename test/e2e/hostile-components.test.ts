import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Container, Pod, PodSpec } from "../../src/api/index.ts";
import { pushImage } from "../../src/cli/index.ts";
import { INGRESSES, PODS, SERVICES } from "../../src/client/index.ts";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { podTraces, workerPid } from "../harness/pod-traces.ts";
import { spawnServer } from "../harness/spawned-server.ts";
import type { SpawnedServer } from "../harness/spawned-server.ts";

const root = join(import.meta.dir, "..", "..");
const COMPONENT = join(import.meta.dir, "testdata", "hostile-component.wasm");
const NEIGHBOUR = join(root, "workloads", "hello-http", "hello-http.wasm");
const TEST_TIMEOUT_MS = 60_000;
const DEADLINE_MS = 30_000;
const MIB = 1024 * 1024;
/** Each ends its instance by a trap, or is refused: never its worker. */
const MISUSES =
  "trap never after-drop parent-first forged wrong-kind pointer return-pointer return-unaligned " +
  "text number scheme error-number poll-nothing poll-many random resources timers field-bytes " +
  "heads out-of-memory";

describe("a cluster with hostile components", () => {
  let server: SpawnedServer;

  beforeAll(async () => {
    server = await spawnServer();
    const connection = { ...server, version: "", startedAt: "", server: server.url };
    for (const [reference, path] of [
      ["evil:v1", COMPONENT],
      ["good:v1", NEIGHBOUR],
    ] as const) {
      const module = new Uint8Array(readFileSync(path));
      await pushImage(connection, { reference, module });
    }
    const api = new URL(server.url).port;
    await run("good", "good:v1", {});
    const volumes = [{ name: "data", emptyDir: {} }];
    const volumeMounts = [{ name: "data", mountPath: "/data" }];
    const limits = { memory: "64Mi" };
    const annotations = {
      "kubun.dev/request-timeout": "1s",
      "kubun.dev/instances": "4",
      "kubun.dev/allowed-outgoing-hosts": `http://good, http://*.example, tcp://*.example:${api}`,
    };
    const evil = { volumeMounts, resources: { limits } };
    await run("evil", "evil:v1", evil, { spec: { volumes }, annotations });
    for (const name of ["good", "evil"]) {
      await eventually(async () => (await ask(name, "/")).startsWith("200"), {
        deadlineMs: DEADLINE_MS,
        what: `${name} answers`,
      });
    }
  }, TEST_TIMEOUT_MS);

  afterAll(() => server[Symbol.asyncDispose](), TEST_TIMEOUT_MS);

  /** A pod with a Service and an Ingress of its name. */
  async function run(
    name: string,
    image: string,
    container: Partial<Container>,
    more: {
      readonly spec?: Partial<PodSpec>;
      readonly annotations?: Record<string, string>;
    } = {},
  ): Promise<void> {
    const { client } = server;
    const ports = [{ containerPort: 8080 }];
    await client.resource(PODS, "default").create({
      metadata: { name, labels: { app: name }, annotations: more.annotations ?? {} },
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: [{ name: "main", image, ports, ...container }],
        ...more.spec,
      },
    });
    await client.resource(SERVICES, "default").create({
      metadata: { name },
      spec: { selector: { app: name }, ports: [{ port: 80, targetPort: 8080 }] },
    });
    const service = { name, port: { number: 80 } };
    const paths = [{ path: "/", pathType: "Prefix", backend: { service } }];
    const rules = [{ host: `${name}.test`, http: { paths } }];
    await client.resource(INGRESSES, "default").create({ metadata: { name }, spec: { rules } });
  }

  /** Status and body through the Ingress; "cut" when there was no whole answer. */
  async function ask(name: string, path: string): Promise<string> {
    try {
      const headers = { host: `${name}.test` };
      const answer = await fetch(server.ingress + path, { method: "POST", body: "x", headers });
      return `${answer.status} ${await answer.text()}`;
    } catch {
      return "cut";
    }
  }

  const pod = (name: string): Promise<Pod> => server.client.resource(PODS, "default").get(name);

  async function worker(name: string): Promise<{ pssBytes: number; descriptors: number }> {
    const [status] = (await pod(name)).status?.containerStatuses ?? [];
    const pid = workerPid(server.dataDir, (status?.containerID ?? "").replace(/^.*:\/\//, ""));
    const [, kib] = /Pss:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8")) ?? [];
    return {
      pssBytes: Number(kib) * 1024,
      descriptors: readdirSync(`/proc/${pid}/fd`).length,
    };
  }

  test(
    "a cluster with hostile components gives 500 for each misuse, and keeps its worker small",
    async () => {
      const { descriptors } = await worker("evil");
      for (const misuse of MISUSES.split(" ")) {
        expect(`${misuse}: ${await ask("evil", `/${misuse}`)}`).toBe(
          `${misuse}: 500 the guest failed\n`,
        );
      }
      expect(await ask("evil", "/twice")).toBe("200 once");
      expect(await ask("evil", "/descriptors")).toBe("200 1024");
      expect(await ask("evil", "/trap-in-stream")).toBe("cut");
      expect((await worker("evil")).pssBytes).toBeLessThan(256 * MIB);
      for (let turn = 0; turn < 4; turn++) await ask("evil", "/trap");
      expect(await ask("evil", "/")).toBe("200 ok");
      await eventually(async () => (await worker("evil")).descriptors <= descriptors + 1100);
      expect((await pod("evil")).status?.containerStatuses?.[0]?.restartCount).toBe(0);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "a cluster with hostile components sends heads that are whole, or none",
    async () => {
      for (const lie of ["length-6", "length-4", "status-100", "status-999"]) {
        expect(await ask("evil", `/answer/${lie}`)).toBe("500 the guest failed\n");
      }
      for (const odd of ["length-abc", "late/length-5/length-6", "length-0x5", "fields-200-10"]) {
        expect(await ask("evil", `/answer/${odd}`)).toBe("200 12345");
      }
      expect(await ask("evil", "/answer/fields-300-10")).toStartWith("502 ");
      expect(await ask("evil", "/answer/fields-2-60000")).toStartWith("502 ");
      expect(await ask("evil", "/answer/late/drop")).toBe("cut");
      expect(await ask("evil", "/smuggle/good")).toBe("200 path 6 taken\nlengths: sent\n");
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "a cluster with hostile components lets them reach their own files and the hosts granted",
    async () => {
      const api = new URL(server.url).port;
      // `root` was refused as a link, so that it may be made as a file; `.\..` is a name.
      const escaped = (await ask("evil", "/escape")).split("\n").filter((line) => {
        return line !== "" && !/ root$| \.\\\.\.$|symlink/.test(line);
      });
      expect(escaped).toEqual([]);
      expect(await ask("evil", "/call/http://good/")).toContain("Hello from Kubun");
      for (const host of [
        `127.0.0.1:${api}`,
        "2130706433",
        "[::1]",
        "169.254.169.254",
        "good:81",
      ]) {
        expect(await ask("evil", `/call/http://${host}/`)).toBe("200 0 HTTP-request-denied ");
      }
      expect(await ask("evil", `/dial/${api}`)).toBe("200 refused 1");
      expect(await ask("evil", `/dial/${api}/localhost`)).toBe("200 lookup refused 1");
      // No more than so many at once, and none of them is read.
      expect(await ask("evil", "/unread/good")).toBe("200 error 11 after 1024");
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "a cluster with hostile components ends what computes for ever, and nothing is left of it",
    async () => {
      const annotations = { "kubun.dev/request-timeout": "500ms" };
      const env = [{ name: "HOSTILE_START", value: "loop" }];
      await run("starts", "evil:v1", { env }, { annotations });
      expect(await ask("evil", "/loop")).toStartWith("502 ");
      for (const name of ["evil", "starts"]) {
        const { lastState } = await eventually(
          async () => {
            const status = (await pod(name)).status?.containerStatuses?.[0];
            return status?.lastState?.terminated === undefined ? undefined : status;
          },
          { deadlineMs: DEADLINE_MS, what: `${name} was ended` },
        );
        expect(lastState?.terminated).toMatchObject({ exitCode: 124, reason: "Error" });
        expect(lastState?.terminated?.message).toMatch(/computed for more than its \d+ ms/);
      }
      expect(await ask("good", "/")).toStartWith("200 ");
      const pods = server.client.resource(PODS, "default");
      for (const name of ["evil", "starts"]) await pods.delete(name, {});
      await eventually(
        () => {
          const { sandboxes, containers, volumes } = podTraces(server.dataDir);
          return sandboxes.length === 1 && containers.length === 1 && volumes.length === 0;
        },
        { deadlineMs: DEADLINE_MS, what: "only the good pod is left" },
      );
      expect((await pod("good")).status?.containerStatuses?.[0]?.restartCount).toBe(0);
    },
    TEST_TIMEOUT_MS,
  );
});
