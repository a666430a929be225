import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { containersObstacle, expectOk, startContainerLab } from "../harness/container-lab.ts";
import type { ContainerLab } from "../harness/container-lab.ts";
import { realClient } from "../harness/real-kubectl.ts";
import { KUBUN, runCommand, temporaryDirectory } from "../harness/spawned-server.ts";

const root = join(import.meta.dir, "..", "..");
const workloads = join(root, "workloads");
const TEST_TIMEOUT_MS = 120_000;
const SOON = { deadlineMs: 60_000 };
const obstacle = await containersObstacle();

/** Containers and modules in one cluster, as its user meets them. */
describe.skipIf(obstacle !== undefined)(`containers${obstacle ? `: ${obstacle}` : ""}`, () => {
  const work = temporaryDirectory();
  let lab: ContainerLab;

  beforeAll(async () => {
    [lab] = await Promise.all([startContainerLab(), buildImage("box", {})]);
    await Promise.all([
      lab.push(join(work, "box.tar"), "box:v1"),
      lab.push(
        join(workloads, "hello-component-c", "hello-component-c.wasm"),
        "hello-component-c:v1",
      ),
    ]);
  }, TEST_TIMEOUT_MS);

  afterAll(async () => {
    const { dataDir } = lab.server;
    await lab[Symbol.asyncDispose]();
    await eventually(() => !processes().includes(dataDir), { what: "containerd ends" });
    rmSync(work, { recursive: true, force: true });
  }, TEST_TIMEOUT_MS);

  /** The command lines of all that runs on this machine. */
  function processes(): string {
    const { stdout } = Bun.spawnSync(["sh", "-c", "cat /proc/[0-9]*/cmdline 2>/dev/null"]);
    return new TextDecoder().decode(stdout);
  }

  /** An image of BusyBox and these files. */
  async function buildImage(name: string, files: Readonly<Record<string, string>>): Promise<void> {
    const tree = join(work, name);
    mkdirSync(join(tree, "bin"), { recursive: true });
    mkdirSync(join(tree, "tmp"), { mode: 0o1777 });
    cpSync(Bun.which("busybox") ?? "", join(tree, "bin", "busybox"));
    for (const tool of ["sh", "cat", "ls", "tar", "wget", "sleep", "httpd", "id", "echo", "touch"])
      symlinkSync("busybox", join(tree, "bin", tool));
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(tree, path, ".."), { recursive: true });
      writeFileSync(join(tree, path), text);
    }
    const config = ["--config.env", "PATH=/bin", "--config.cmd", "sh"];
    const pack = join(workloads, "debian-image", "pack.sh");
    const cmd = [pack, join(work, `${name}.tar`), tree, "--", ...config];
    expectOk(cmd, await runCommand(cmd));
  }

  const script = (name: string, text: string, more: object = {}): object => ({
    name,
    image: "box:v1",
    command: ["sh", "-c", text],
    ...more,
  });

  async function runPod(name: string, spec: object, annotations: object = {}): Promise<void> {
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, labels: { app: name }, annotations },
      spec: { terminationGracePeriodSeconds: 1, ...spec },
    };
    await lab.kubectl.feed(JSON.stringify(pod), "apply", "-f", "-");
  }

  const field = (pod: string, path: string): Promise<string> =>
    lab.kubectl.ok("get", "pod", pod, "-o", `jsonpath={${path}}`);

  const ready = (pod: string): Promise<string> =>
    lab.kubectl.ok("wait", "--for=condition=Ready", `pod/${pod}`, "--timeout=60s");

  async function logged(pod: string, container: string, words: string): Promise<void> {
    await eventually(
      async () => {
        const { stdout } = await lab.kubectl("logs", pod, "-c", container);
        return stdout.includes(words);
      },
      { ...SOON, what: `${pod} says ${words}` },
    );
  }

  const ask = (host: string, path = "/"): Promise<string> =>
    lab.run("curl", "-sS", "--max-time", "10", "-H", `Host: ${host}`, lab.server.ingress + path);

  test(
    "containers: a Deployment of an image that skopeo pushed answers beside WASM pods",
    async () => {
      await buildImage("web", { "www/index.html": "hello from a container\n" });
      const { host } = new URL(lab.server.url);
      const flags = ["--dest-tls-verify=false", `--dest-creds=admin:${lab.server.token}`];
      const places = [`oci-archive:${join(work, "web.tar")}`, `docker://${host}/web:v1`];
      await lab.run("skopeo", "copy", "--insecure-policy", ...flags, ...places);
      const { kubectl } = lab;
      const program = ["httpd", "-f", "-p", "8080", "-h", "/www"];
      const create = ["create", "deployment", "web", "--image=web:v1", "--port=8080"];
      await kubectl.ok(...create, "--replicas=2", "--", ...program);
      await kubectl.ok("expose", "deployment", "web", "--port=80", "--target-port=8080");
      await kubectl.ok("create", "ingress", "web", "--rule=web.example/*=web:80");
      const wasm = join(workloads, "hello-component-c", "hello-component-c.yaml");
      await kubectl.ok("apply", "-f", wasm);
      for (const name of ["web", "hello-component-c"])
        await kubectl.ok("rollout", "status", `deployment/${name}`, "--timeout=60s");
      await eventually(async () => (await ask("web.example")) === "hello from a container\n", SOON);
      expect(await ask("hello-component-c.example")).toStartWith("Hello from a component in C");
      const inside = ["exec", "deployment/web", "--", "wget", "-qO-"];
      const service = "http://hello-component-c.default.svc.cluster.local:8080/";
      expect(await kubectl.ok(...inside, service)).toStartWith("Hello from a component in C");
      expect(await kubectl.ok(...inside, "http://web/")).toBe("hello from a container\n");
      const ids = ["get", "pods", "-l", "app=web", "-o"];
      expect(await kubectl.ok(...ids, "jsonpath={..containerID}")).toContain("containerd://");
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "containers: a pod of a module and a container has one address and one localhost",
    async () => {
      const loop = "until wget -qO- http://127.0.0.1:8080/; do sleep 0.2; done; sleep 3600";
      await runPod(
        "pair",
        {
          containers: [
            {
              name: "module",
              image: "hello-component-c:v1",
              ports: [{ containerPort: 8080 }],
            },
            script("box", loop),
          ],
        },
        { "kubun.dev/runtime.module": "wasi" },
      );
      await ready("pair");
      await logged("pair", "box", "this is pair");
      const ids = (await field("pair", ".status.containerStatuses[*].containerID")).split(" ");
      expect(ids.map((id) => id.split(":")[0] ?? "").toSorted()).toEqual(["containerd", "wasi"]);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "containers: logs are followed to the end, and files are copied in and out",
    async () => {
      const count = "for i in 1 2 3; do echo line $i; sleep 0.3; done";
      await runPod("counter", { restartPolicy: "Never", containers: [script("c", count)] });
      await eventually(async () => (await field("counter", ".status.phase")) !== "Pending", SOON);
      expect(await lab.kubectl.ok("logs", "-f", "counter")).toBe("line 1\nline 2\nline 3\n");
      await runPod("keeper", { containers: [script("c", "sleep 3600")] });
      await ready("keeper");
      writeFileSync(join(work, "file"), "copied\n");
      await lab.kubectl.ok("cp", join(work, "file"), "keeper:/tmp/file");
      expect(await lab.kubectl.ok("exec", "keeper", "--", "cat", "/tmp/file")).toBe("copied\n");
      await lab.kubectl.ok("cp", "keeper:/tmp/file", join(work, "back"));
      expect(readFileSync(join(work, "back"), "utf8")).toBe("copied\n");
      const { exitCode } = await lab.kubectl("exec", "keeper", "--", "sh", "-c", "exit 7");
      expect(exitCode).toBe(7);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "containers: programs hear their input over both transports, and end with their session",
    async () => {
      await runPod("worked", { containers: [script("c", "sleep 3600")] });
      await ready("worked");
      for (const websockets of ["true", "false"]) {
        const variable = `KUBECTL_REMOTE_COMMAND_WEBSOCKETS=${websockets}`;
        const client = ["env", variable, realClient("kubectl")];
        const into = ["--kubeconfig", lab.server.kubeconfig, "exec", "-i", "worked", "--"];
        const exec = (...rest: string[]): string[] => lab.command([...client, ...into, ...rest]);
        const { stdout } = await runCommand(exec("cat"), { stdin: "to the end" });
        expect(stdout).toBe("to the end");
        // A number that no other program of this machine sleeps for.
        const sleep = ["sleep", `${websockets === "true" ? 8 : 9}${process.pid}`];
        const sleeping = Bun.spawn(exec(...sleep), { stdin: "pipe" });
        await eventually(() => runs(sleep), SOON);
        sleeping.kill("SIGKILL");
        await eventually(() => !runs(sleep), SOON);
      }
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "containers: redis-page keeps what its page is told, and a component asks the page",
    async () => {
      const readme = readFileSync(join(workloads, "redis-page", "README.md"), "utf8");
      const [, commands = ""] = /^## Run it.*?^```sh\n(.*?)^```/ms.exec(readme) ?? [];
      const adapted = commands
        .replaceAll("/tmp/redis-page", join(work, "redis"))
        .replaceAll("http://127.0.0.1:8080", lab.server.ingress)
        .replace(/kubun (image push|service)/g, `kubun $1 --data-dir ${lab.server.dataDir}`)
        .replaceAll("curl ", "curl --fail-with-body -sS --retry 5 --retry-all-errors ");
      // The packages come from outside, where the network of the lab does not lead.
      const [build = "", rest = ""] = adapted.split(/\n(.*)/s);
      const path = [join(realClient("kubectl"), ".."), join(KUBUN, "..")].join(":");
      const env = { PATH: `${path}:${process.env["PATH"]}`, KUBECONFIG: lab.server.kubeconfig };
      expectOk([build], await runCommand(["sh", "-eu", "-c", build], { cwd: root }));
      const result = await runCommand(lab.command(["sh", "-eu", "-c", rest]), { cwd: root, env });
      const said = expectOk(["README of redis-page"], result);
      expect(said).toContain("<tr><td>colour<td>green");
      expect(said).toMatch(/visit 1\n+1\n$/);
    },
    TEST_TIMEOUT_MS,
  );
});

/** Whether a program of this machine, in a container or not, was begun with these very words. */
function runs(words: readonly string[]): boolean {
  return readdirSync("/proc").some((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8") === `${words.join("\0")}\0`;
    } catch {
      // No process, or one that ended.
      return false;
    }
  });
}
