import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { realClient } from "../harness/real-kubectl.ts";
import { KUBUN, runCommand, spawnServer, temporaryDirectory } from "../harness/spawned-server.ts";
import type { CommandResult, SpawnedServer } from "../harness/spawned-server.ts";

const root = join(import.meta.dir, "..", "..");
const page = readFileSync(join(root, "docs", "WORKLOADS.md"), "utf8");
const TEST_TIMEOUT_MS = 180_000;
/** Without it the commands are tried, and what they print is not looked at. */
const hasCurl = Bun.which("curl") !== null;

/** What builds a file of the page, and what is there instead on a machine without it. */
const BUILDERS: readonly { tools: string[]; output: string; instead: string }[] = [
  {
    tools: ["clang-19"],
    output: "answer.wasm",
    instead: "hello-component-c/hello-component-c.wasm",
  },
  { tools: ["/usr/bin/rustc", "wasm-ld-14"], output: "job.wasm", instead: "" },
];

/** Every block of commands in docs/WORKLOADS.md, one after another as a reader would type them. */
describe("docs/WORKLOADS.md", () => {
  const work = temporaryDirectory();
  let server: SpawnedServer;

  beforeAll(async () => {
    server = await spawnServer();
    for (const name of ["workloads", "node_modules"])
      symlinkSync(join(root, name), join(work, name));
  }, TEST_TIMEOUT_MS);

  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    rmSync(work, { recursive: true, force: true });
  }, TEST_TIMEOUT_MS);

  function shell(script: string): Promise<CommandResult> {
    const path = [join(realClient("kubectl"), ".."), join(KUBUN, "..")].join(":");
    const adapted = script
      .replaceAll("http://127.0.0.1:8080", server.ingress)
      .replace(/kubun image (push|list|inspect)/g, `kubun image $1 --data-dir ${server.dataDir}`)
      .replaceAll("curl ", hasCurl ? "curl --fail-with-body -sS " : "true ");
    return runCommand(["sh", "-eu", "-c", adapted], {
      cwd: work,
      env: { HOME: work, PATH: `${path}:${process.env["PATH"]}`, KUBECONFIG: server.kubeconfig },
    });
  }

  const blocks = [...page.matchAll(/^```sh\n(.*?)^```/gms)].map(([, body = ""]) => body);

  async function run(block: string): Promise<string> {
    const { exitCode, stdout, stderr } = await shell(block);
    expect(exitCode === 0 ? "" : `${block} gave ${exitCode}: ${stderr} ${stdout}`).toBe("");
    return stdout;
  }

  function find(words: string): string {
    const block = blocks.find((each) => each.includes(words));
    if (block === undefined) throw new Error(`no block of commands with ${words}`);
    return block;
  }

  /** False when the machine has no such tools: then a committed file stands in, or none. */
  async function build(output: string): Promise<boolean> {
    const { tools, instead } = BUILDERS.find((each) => each.output === output) ?? {
      tools: [],
      instead: "",
    };
    if (tools.every((tool) => Bun.which(tool) !== null)) {
      await run(find(`> ${output.replace(".wasm", "")}.`));
      return true;
    }
    if (instead !== "") cpSync(join(root, "workloads", instead), join(work, output));
    return false;
  }

  test(
    "docs/WORKLOADS.md leads from a C file to a service that answers",
    async () => {
      const own = await build("answer.wasm");
      const job = await build("job.wasm");
      const without = (block: string): string =>
        block
          .split("\n")
          .filter((line) => job || !/\bjob\b/.test(line))
          .join("\n");
      expect(await run(without(find("kubun image list")))).toContain("answer   v1");
      await run(find("kubun image build answer.wasm"));
      const ran = await run(without(find("kubectl create deployment answer")));
      if (hasCurl) expect(ran).toContain(own ? "Hello from my component" : "this is");
      if (job) expect(ran).toContain("hello you");
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "docs/WORKLOADS.md shows a guestbook that is allowed to call its store, and one that is not",
    async () => {
      const page = await run(find("guestbook-store:v1"));
      if (!hasCurl) return;
      expect(page).toContain("<li>Hello</li>");
      const denied = find("kubectl patch deployment guestbook-front").replace("curl ", "! curl ");
      expect(await run(denied)).toContain("HTTP-request-denied");
      await eventually(async () => {
        const { stdout } = await shell("kubectl logs -l part=front");
        return stdout.includes("kubun.dev/allowed-outgoing-hosts");
      });
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "docs/WORKLOADS.md shows a counter in a key-value store",
    async () => {
      const shown = await run(find("kubectl get keyvaluestores"));
      expect(shown).toContain('"counters" deleted');
      if (hasCurl) expect(shown).toMatch(/^5\n+NAME +KEYS +SIZE +AGE\ncounters +1 +7B .*\n5/m);
    },
    TEST_TIMEOUT_MS,
  );

  test("docs/WORKLOADS.md has no command that is not tried here or with its workload", () => {
    const tried = ["answer.c", "job.rs", "kubun image list", "kubun image build answer.wasm"];
    tried.push("kubectl create deployment answer", "guestbook-store:v1", 'op":"remove');
    tried.push("kubectl get keyvaluestores");
    // test/e2e/workloads.test.ts builds it.
    tried.push("node workloads/hello-component-js/build.mjs");
    const others = blocks.filter((block) => !tried.some((words) => block.includes(words)));
    expect(others).toEqual([]);
  });
});
