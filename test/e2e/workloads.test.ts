import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { workerPid } from "../harness/pod-traces.ts";
import { kubectlWith } from "../harness/real-kubectl.ts";
import type { Kubectl } from "../harness/real-kubectl.ts";
import { KUBUN, runCommand, spawnServer, temporaryDirectory } from "../harness/spawned-server.ts";
import type { SpawnedServer } from "../harness/spawned-server.ts";

const workloads = join(import.meta.dir, "..", "..", "workloads");
const TEST_TIMEOUT_MS = 120_000;
/** The JavaScript engine is initialised and stored: some 20 s of a core. */
const BUILD_TIMEOUT_MS = 300_000;

/** What other workloads are built with. */
const BUILDERS = new Set(["wasi-http-c", "debian-image"]);

/** Every workload is pushed, applied and asked as its README says. */
describe("workloads", () => {
  const temporary = temporaryDirectory();
  let server: SpawnedServer;
  let kubectl: Kubectl;

  beforeAll(async () => {
    server = await spawnServer();
    kubectl = kubectlWith(server.kubeconfig);
  }, TEST_TIMEOUT_MS);

  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    rmSync(temporary, { recursive: true, force: true });
  }, TEST_TIMEOUT_MS);

  async function push(file: string, name: string): Promise<string> {
    const command = [KUBUN, "image", "push", "--data-dir", server.dataDir, file, name];
    const { exitCode, stderr } = await runCommand(command);
    expect(exitCode === 0 ? "" : stderr).toBe("");
    return stderr;
  }

  async function apply(manifest: string, deployment: string): Promise<void> {
    await kubectl.feed(manifest, "apply", "-f", "-");
    await kubectl.ok("rollout", "status", `deployment/${deployment}`, "--timeout=60s");
  }

  /** Kills the process of the one pod and waits until its container runs again. */
  async function killed(selector: string): Promise<void> {
    const status = (field: string): Promise<string> => {
      const path = `jsonpath={.items[0].status.containerStatuses[0].${field}}`;
      return kubectl.ok("get", "pod", "-l", selector, "-o", path);
    };
    const id = (await status("containerID")).replace(/^.*:\/\//, "");
    process.kill(workerPid(server.dataDir, id), "SIGKILL");
    await eventually(async () => (await status("restartCount")) === "1");
  }

  const manifestOf = (name: string): string =>
    readFileSync(join(workloads, name, `${name}.yaml`), "utf8");

  function ask(host: string, path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set("host", host);
    return fetch(server.ingress + path, { redirect: "manual", ...init, headers });
  }

  const text = async (host: string, path: string, init?: RequestInit): Promise<string> =>
    (await ask(host, path, init)).text();

  test("every workload has a README and its manifest", () => {
    const names = readdirSync(workloads, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !BUILDERS.has(entry.name))
      .map((entry) => entry.name);
    for (const name of names) {
      expect(readdirSync(join(workloads, name))).toContain("README.md");
      expect(readdirSync(join(workloads, name))).toContain(`${name}.yaml`);
    }
  });

  test(
    "hello-component-c answers through the Ingress",
    async () => {
      const name = "hello-component-c";
      const host = `${name}.example`;
      expect(await push(join(workloads, name, `${name}.wasm`), `${name}:v1`)).toBe("");
      await apply(manifestOf(name), name);
      const pods = (await kubectl.ok("get", "pods", "-l", `app=${name}`, "-o", "name")).split("\n");
      const answered = new Set<string>();
      await eventually(async () => {
        const answer = await text(host, "/");
        expect(answer).toStartWith("Hello from a component in C, this is hello-component-c-");
        answered.add(answer);
        return answered.size === pods.length - 1;
      });
      expect(await text(host, "/env?name=GREETING")).toBe("Hello from a component in C");
      expect((await ask(host, "/absent")).status).toBe(404);

      const body = "0123456789abcdef".repeat(20_000);
      expect((await text(host, "/echo", { method: "POST", body })) === body).toBe(true);

      // A trap ends one instance, never the pod.
      expect((await ask(host, "/trap")).status).toBe(500);
      expect(await text(host, "/log")).toBe("logged\n");
      const restarts = ["-l", `app=${name}`, "-o", "jsonpath={..restartCount}"];
      expect(await kubectl.ok("get", "pods", ...restarts)).toBe("0 0");
      await eventually(async () => {
        const logs = await kubectl.ok("logs", "-l", `app=${name}`, "--tail=-1");
        return logs.includes("GET /log") && logs.includes("GET /trap: ");
      });
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "counter-rust counts on where it was when its process is killed",
    async () => {
      const name = "counter-rust";
      expect(await push(join(workloads, name, `${name}.wasm`), `${name}:v1`)).toBe("");
      await apply(manifestOf(name), name);
      const visit = (): Promise<string> => text(`${name}.example`, "/");
      await eventually(async () => (await visit()) === "Hello from Rust, visitor 1\n");
      expect(await visit()).toBe("Hello from Rust, visitor 2\n");
      await killed(`app=${name}`);
      await eventually(async () => (await visit()) === "Hello from Rust, visitor 3\n");
      expect(await kubectl.ok("logs", `deployment/${name}`)).toContain("counting in /data/count");
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "hello-component-js is built, and answers and streams through the Ingress",
    async () => {
      const name = "hello-component-js";
      const host = `${name}.example`;
      const component = join(temporary, `${name}.wasm`);
      const build = ["node", join(workloads, name, "build.mjs"), component];
      const { exitCode, stderr } = await runCommand(build);
      expect(exitCode === 0 ? "" : stderr).toBe("");
      expect(await push(component, `${name}:v1`)).toContain("kubun.dev/allowed-outgoing-hosts");
      await apply(manifestOf(name), name);
      expect(await text(host, "/")).toStartWith(
        "Hello from a component in JavaScript, this is hello-component-js-",
      );
      const events = await ask(host, "/count");
      expect(events.headers.get("content-type")).toBe("text/event-stream");
      expect(await events.text()).toBe("data: 1\n\ndata: 2\n\ndata: 3\n\n");
      const posted = await ask(host, "/json", { method: "POST", body: '{"a":[1,2]}' });
      expect(await posted.json()).toEqual({ given: { a: [1, 2] } });
      expect((await ask(host, "/json", { method: "POST", body: "{" })).status).toBe(400);
      expect(await text(host, "/log")).toBe("logged\n");
      await eventually(async () =>
        (await kubectl.ok("logs", "-l", `app=${name}`, "--tail=-1")).includes("asked for /log"),
      );
      await kubectl.ok("delete", "deployment", name);
    },
    BUILD_TIMEOUT_MS,
  );

  describe("guestbook", () => {
    const host = "guestbook.example";

    const sign = (message: string): Promise<Response> =>
      ask(host, "/sign", { method: "POST", body: new URLSearchParams({ message }) });

    beforeAll(async () => {
      for (const part of ["store", "front"]) {
        const file = join(workloads, "guestbook", part, `guestbook-${part}.wasm`);
        await push(file, `guestbook-${part}:v1`);
      }
      await apply(manifestOf("guestbook"), "guestbook-store");
      await kubectl.ok("rollout", "status", "deployment/guestbook-front", "--timeout=60s");
    }, TEST_TIMEOUT_MS);

    test(
      "guestbook's front keeps what guests write in the store's volume",
      async () => {
        expect(await text(host, "/")).toContain("<h1>The guestbook</h1>");
        const signed = await sign('Hello <b>you</b> & "me"');
        expect([signed.status, signed.headers.get("location")]).toEqual([303, "/"]);
        await sign("second");
        const list = "<li>Hello &lt;b&gt;you&lt;/b&gt; &amp; &quot;me&quot;</li>\n<li>second</li>";
        expect(await text(host, "/")).toContain(list);

        // The store is killed: its container comes back, and what the volume holds with it.
        await killed("part=store");
        await eventually(async () => (await text(host, "/")).includes(list), {
          what: "the store is back with its messages",
        });

        const tooLong = await sign("x".repeat(201));
        expect(tooLong.status).toBe(502);
        expect(await tooLong.text()).toContain("status 413, a message has at most 200 bytes");
      },
      TEST_TIMEOUT_MS,
    );

    test(
      "guestbook's settings are those of its ConfigMap and Secret",
      async () => {
        const title = JSON.stringify({ data: { TITLE: "Our guests" } });
        await kubectl.ok("patch", "configmap", "guestbook", "--type=merge", "-p", title);
        const token = JSON.stringify({ stringData: { STORE_TOKEN: "another" } });
        await kubectl.ok("patch", "secret", "guestbook", "--type=merge", "-p", token);
        await kubectl.ok("rollout", "restart", "deployment/guestbook-store");
        await kubectl.ok("rollout", "status", "deployment/guestbook-store", "--timeout=60s");
        await eventually(async () =>
          (await text(host, "/")).includes("status 401, the token is wrong"),
        );
        await kubectl.ok("rollout", "restart", "deployment/guestbook-front");
        await kubectl.ok("rollout", "status", "deployment/guestbook-front", "--timeout=60s");
        await eventually(async () => (await text(host, "/")).includes("<h1>Our guests</h1>"));
      },
      TEST_TIMEOUT_MS,
    );

    test(
      "guestbook's front is denied the store without the annotation, and the log names it",
      async () => {
        const annotations = { "kubun.dev/allowed-outgoing-hosts": null };
        const patch = JSON.stringify({ spec: { template: { metadata: { annotations } } } });
        const front = "deployment/guestbook-front";
        await kubectl.ok("patch", front, "--type=strategic", "-p", patch);
        await kubectl.ok("rollout", "status", front, "--timeout=60s");
        await eventually(async () => {
          const answer = await ask(host, "/");
          const page = await answer.text();
          return answer.status === 502 && page.includes("HTTP-request-denied");
        });
        await eventually(async () => {
          const logs = await kubectl.ok("logs", "-l", "part=front", "--tail=-1");
          return (
            logs.includes("wasi:http/outgoing-handler") &&
            logs.includes("kubun.dev/allowed-outgoing-hosts") &&
            logs.includes("http://guestbook-store")
          );
        });
      },
      TEST_TIMEOUT_MS,
    );
  });
});
