import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { realClient } from "../harness/real-kubectl.ts";
import { KUBUN, readAccess, runCommand, temporaryDirectory } from "../harness/spawned-server.ts";
import type { CommandResult } from "../harness/spawned-server.ts";

const root = join(import.meta.dir, "..", "..");
const readme = readFileSync(join(root, "README.md"), "utf8");
const TEST_TIMEOUT_MS = 120_000;

/** A home of its own, so that `~/.kubun` is the test's. */
const home = temporaryDirectory();
const dataDir = join(home, ".kubun");
const workDir = join(home, "work");

function section(title: string): string {
  return readme.split(/^## /m).find((text) => text.startsWith(title)) ?? "";
}

/** The commands of the fenced blocks: all lines of `sh`, and those behind a `$` of `console`. */
function commands(text: string): string[] {
  return [...text.matchAll(/^```(sh|console)\n(.*?)^```/gms)].flatMap(([, kind, body = ""]) =>
    body
      .split("\n")
      .filter((line) => (kind === "sh" ? line !== "" : line.startsWith("$ ")))
      .map((line) => line.replace(/^\$ /, "").replace(/ +# .*$/, "")),
  );
}

function shell(script: string): Promise<CommandResult> {
  const path = [join(realClient("kubectl"), ".."), join(root, "node_modules", ".bin")].join(":");
  return runCommand(["sh", "-eu", "-c", script], {
    cwd: workDir,
    env: {
      HOME: home,
      PATH: `${path}:${process.env["PATH"]}`,
      KUBECONFIG: join(dataDir, "kubeconfig.yaml"),
    },
  });
}

/** The README's commands are for the checkout and for port 8080: here they are for this test. */
function adapted(command: string): string {
  return command
    .replaceAll("http://127.0.0.1:8080", readAccess(dataDir).ingress)
    .replaceAll("npm run -s kubun --", KUBUN)
    .replace(/^curl /, Bun.which("curl") === null ? "echo " : "curl --fail ");
}

describe("README", () => {
  beforeAll(async () => {
    mkdirSync(workDir);
    cpSync(join(root, "workloads", "hello-http", "hello-http.wasm"), join(workDir, "app.wasm"));
    const { stdout, stderr, exitCode } = await shell(`${KUBUN} up --detach`);
    expect(stderr).toBe("");
    expect(stdout).toContain(`kubeconfig: ${dataDir}/kubeconfig.yaml`);
    expect(exitCode).toBe(0);
  }, TEST_TIMEOUT_MS);

  afterAll(async () => {
    await shell(`${KUBUN} delete`);
    rmSync(home, { recursive: true, force: true });
  }, TEST_TIMEOUT_MS);

  test(
    "README's tour runs command by command",
    async () => {
      const tour = commands(section("Two minutes"));
      expect(tour.length).toBeGreaterThan(6);
      for (const command of tour) {
        if (command.includes("service app")) await shell("kubectl rollout status deployment/app");
        const { exitCode, stderr } = await shell(adapted(command));
        expect(exitCode === 0 ? "" : `${command} gave ${exitCode}: ${stderr}`).toBe("");
      }
    },
    TEST_TIMEOUT_MS,
  );

  test("README's sample answers as shown", async () => {
    const answer = await (await fetch(`${readAccess(dataDir).ingress}/`)).text();
    expect(readme).toContain("Hello from Kubun, this is hello-http-");
    expect(answer).toStartWith("Hello from Kubun, this is hello-http-");
  });

  test(
    "README's own module answers at the URL that kubun service prints",
    async () => {
      const { stdout } = await shell(`${KUBUN} service app --url`);
      await eventually(async () => (await fetch(stdout.trim())).ok, { what: stdout });
    },
    TEST_TIMEOUT_MS,
  );

  test("README names every verb there is, and no other", async () => {
    const { stdout } = await runCommand([KUBUN, "--help"]);
    const verbs = [...stdout.matchAll(/^ {2}([a-z]+) /gm)].map((match) => match[1] ?? "");
    for (const verb of verbs.filter((name) => name !== "help")) {
      expect(readme).toMatch(new RegExp(`\`kubun ${verb}|\`${verb}\`|, \`${verb}`));
    }
  });
});

describe("workloads", () => {
  test("every workload has its source, module, manifest and README", async () => {
    for (const name of ["hello-http", "hello-wagi"]) {
      for (const file of [`${name}.wasm`, `${name}.yaml`, "README.md"]) {
        expect(await Bun.file(join(root, "workloads", name, file)).exists()).toBe(true);
      }
    }
  });
});
