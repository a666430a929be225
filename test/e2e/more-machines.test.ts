import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { spawnAgent, spawnWitness } from "../harness/spawned-machine.ts";
import { KUBUN, runCommand, spawnServer } from "../harness/spawned-server.ts";

const readme = readFileSync(join(import.meta.dir, "..", "..", "README.md"), "utf8");
const TEST_TIMEOUT_MS = 120_000;
const TOKEN = /K1\.[0-9a-f]{32}\.[a-z0-9]{6}\.[a-z0-9]{16}/;

/** The README's commands in order, each with its machine: here they are processes on one. */
function commands(): { machine: string; args: string[] }[] {
  const section = readme.split(/^## /m).find((text) => text.startsWith("More machines")) ?? "";
  return [...section.matchAll(/^(machine-\d)\$ kubun (.*)$/gm)].map(
    ([, machine = "", line = ""]) => ({
      machine,
      args: line.split(" "),
    }),
  );
}

describe("README on more machines", () => {
  test(
    "README on more machines: its commands make a cluster of two servers, a witness and an agent",
    async () => {
      await using stack = new AsyncDisposableStack();
      let first: Awaited<ReturnType<typeof spawnServer>> | undefined;
      let token = "";
      const adapted = (args: readonly string[]): string[] =>
        args.map((arg) => {
          if (arg === "0.0.0.0") return "127.0.0.1";
          if (arg.startsWith("https://")) return first?.url ?? arg;
          return TOKEN.test(arg) ? token : arg;
        });
      for (const { machine, args } of commands()) {
        const [verb = "", ...rest] = adapted(args);
        const own = ["--node-name", machine];
        if (rest.includes("--witness")) {
          const flags = rest.filter((flag) => flag !== "--witness");
          stack.use(await spawnWitness({ args: [...flags, ...own] }));
        } else if (verb === "server") {
          const server = await spawnServer({ args: [...rest, ...own, "--peer-port", "0"] });
          stack.use(server);
          first ??= server;
        } else if (verb === "agent") {
          stack.use(await spawnAgent({ args: [...rest, ...own] }));
        } else {
          const told = ["--data-dir", first?.dataDir ?? ""];
          const { stdout, stderr, exitCode } = await runCommand([KUBUN, verb, ...rest, ...told]);
          expect(exitCode === 0 ? "" : `${args.join(" ")} gave ${exitCode}: ${stderr}`).toBe("");
          if (verb === "token") {
            expect(stdout).toMatch(new RegExp(`^${TOKEN.source}\n$`));
            token = stdout.trim();
          } else {
            for (const name of ["machine-1", "machine-2", "machine-3"]) {
              expect(stdout).toContain(name);
            }
          }
        }
      }
      await eventually(
        async () => {
          const answer = await first?.request("/api/v1/nodes/machine-4");
          return (
            answer?.ok === true && (await answer.text()).includes("kubelet is posting ready status")
          );
        },
        { deadlineMs: 30_000, what: "the agent's node is ready" },
      );
    },
    TEST_TIMEOUT_MS,
  );
});
