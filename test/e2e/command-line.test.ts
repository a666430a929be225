import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { realClient } from "../harness/real-kubectl.ts";
import { KUBUN, readAccess, runCommand, temporaryDirectory } from "../harness/spawned-server.ts";
import type { CommandResult } from "../harness/spawned-server.ts";

const root = join(import.meta.dir, "..", "..");
const dataDir = join(temporaryDirectory(), "cluster");
const FREE_PORTS = ["--https-port", "0", "--http-port", "0"];
const TEST_TIMEOUT_MS = 120_000;

function kubun(...args: string[]): Promise<CommandResult> {
  return runCommand([KUBUN, ...args, "--data-dir", dataDir], {
    env: { PATH: `${join(realClient("kubectl"), "..")}:${process.env["PATH"]}` },
  });
}

describe("the command line", () => {
  beforeAll(async () => {
    const { exitCode, stdout, stderr } = await kubun("up", "--detach", ...FREE_PORTS);
    expect(stderr).toBe("");
    expect(stdout).toContain("hello-http answers at http://127.0.0.1:");
    expect(exitCode).toBe(0);
  }, TEST_TIMEOUT_MS);

  afterAll(async () => {
    await kubun("delete");
    rmSync(join(dataDir, ".."), { recursive: true, force: true });
  }, TEST_TIMEOUT_MS);

  test("kubun up --detach leaves a sample whose URL answers", async () => {
    const response = await fetch(`${readAccess(dataDir).ingress}/`);
    expect(response.status).toBe(200);
    expect(await response.text()).toContain("Hello from Kubun");
  });

  test("kubun up keeps credentials to the user alone", () => {
    for (const file of ["kubeconfig.yaml", "tls/ca.key", "tls/server.key", "tls/admin.token"]) {
      expect(statSync(join(dataDir, file)).mode & 0o777).toBe(0o600);
    }
    expect(statSync(dataDir).mode & 0o777).toBe(0o700);
  });

  test("kubun completion gives a shell what completes commands and flags", async () => {
    const script = await runCommand([KUBUN, "completion", "bash"]);
    expect(script.stdout).toContain("complete -F __kubun_complete kubun");
    const bash = Bun.which("bash");
    if (bash !== null) {
      const { stderr } = await runCommand([bash, "-n"], { stdin: script.stdout });
      expect(stderr).toBe("");
    }
    const { stdout } = await runCommand([KUBUN, "complete", "--", "snapshot", ""]);
    expect(stdout).toMatch(/^save\t.*\nrestore\t/);
    expect((await runCommand([KUBUN, "completion", "tcsh"])).stderr).toContain("zsh, bash, fish");
  });

  test("kubun status tells where the cluster is and how its pods are", async () => {
    const { exitCode, stdout } = await kubun("status");
    expect(exitCode).toBe(0);
    expect(stdout).toContain(readAccess(dataDir).url);
    expect(stdout).toContain("1 of 1 ready");
  });

  test("kubun service --url prints a URL that answers", async () => {
    const { stdout } = await kubun("service", "hello-http", "--url");
    const response = await fetch(stdout.trim());
    expect(response.status).toBe(200);
    await response.arrayBuffer();
  });

  test("kubun service names the Service that is not there", async () => {
    const { exitCode, stderr } = await kubun("service", "nowhere");
    expect(exitCode).toBe(1);
    expect(stderr).toContain('there is no service "nowhere" in namespace default');
  });

  test("kubun image push stores a module that image list shows", async () => {
    const module = join(root, "workloads", "hello-wagi", "hello-wagi.wasm");
    const pushed = await kubun("image", "push", module, "team/greeter:v2");
    expect(pushed.stderr).toBe("");
    expect(pushed.stdout).toMatch(/^pushed team\/greeter:v2 \(sha256:[0-9a-f]{64}\)\n$/);
    const { stdout } = await kubun("image", "list");
    expect(stdout).toMatch(/team\/greeter +v2 +sha256:/);
    expect(stdout).toMatch(/hello-http +v1 +sha256:/);
  });

  test("kubun image push says what is wrong with a file", async () => {
    const absent = await kubun("image", "push", "/nowhere.wasm", "app:v1");
    expect(absent.exitCode).toBe(1);
    expect(absent.stderr).toContain("there is no file /nowhere.wasm");
    const text = await kubun("image", "push", join(root, "README.md"), "app:v1");
    expect(text.exitCode).toBe(1);
    expect(text.stderr).toContain("WebAssembly");
  });

  test("kubun kubectl runs the installed kubectl against this cluster", async () => {
    const command = [KUBUN, "kubectl", "--data-dir", dataDir, "get", "deployments", "-o", "name"];
    const { stdout } = await runCommand(command, {
      env: { PATH: `${join(realClient("kubectl"), "..")}:${process.env["PATH"]}` },
    });
    expect(stdout).toBe("deployment.apps/hello-http\n");
  });

  test("kubun server refuses a data directory in use and names the process", async () => {
    const { exitCode, stderr } = await kubun("server", ...FREE_PORTS);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("in use");
    expect(stderr).not.toContain("    at ");
  });

  test("kubun server refuses a port in use and names the flag", async () => {
    const port = new URL(readAccess(dataDir).url).port;
    const other = temporaryDirectory();
    const command = [KUBUN, "server", "--data-dir", other, "--https-port", port];
    const { exitCode, stderr } = await runCommand(command);
    rmSync(other, { recursive: true, force: true });
    expect(exitCode).toBe(2);
    expect(stderr).toContain(`--https-port ${port} is in use`);
  });

  test(
    "kubun stop ends server and pods, and the next start has the state again",
    async () => {
      const before = readAccess(dataDir);
      expect((await kubun("stop")).stdout).toBe("stopped\n");
      expect((await kubun("status")).stderr).toContain("no cluster runs in");
      expect(fetch(`${before.ingress}/`)).rejects.toThrow();
      expect((await kubun("stop")).stdout).toContain("no cluster runs in");
      await kubun("up", "--detach", ...FREE_PORTS);
      await eventually(async () => (await fetch(readAccess(dataDir).ingress)).ok, {
        what: "the sample answers again",
      });
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "two clusters live on one machine with the defaults",
    async () => {
      const other = temporaryDirectory();
      try {
        const command = [KUBUN, "up", "--detach", "--data-dir", other];
        const { stdout, stderr, exitCode } = await runCommand(command);
        expect(stderr).toBe("");
        expect(exitCode).toBe(0);
        const url = /answers at (\S+)/.exec(stdout)?.[1] ?? "";
        expect((await fetch(url)).status).toBe(200);
        expect((await fetch(readAccess(dataDir).ingress)).status).toBe(200);
      } finally {
        await runCommand([KUBUN, "delete", "--data-dir", other]);
      }
      expect(existsSync(other)).toBe(false);
    },
    TEST_TIMEOUT_MS,
  );
});
