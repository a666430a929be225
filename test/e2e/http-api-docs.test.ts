import { describe, expect, test } from "bun:test";
import { cpSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { runCommand, spawnServer, temporaryDirectory } from "../harness/spawned-server.ts";

const root = join(import.meta.dir, "..", "..");
const page = readFileSync(join(root, "docs", "HTTP-API.md"), "utf8");

const TEST_TIMEOUT_MS = 60_000;

/** Every block of commands in docs/HTTP-API.md, one after another in one shell. */
describe("docs/HTTP-API.md", () => {
  test.skipIf(Bun.which("curl") === null)(
    "docs/HTTP-API.md does its ten jobs by curl alone, as they stand there (needs curl)",
    async () => {
      const work = temporaryDirectory();
      cpSync(join(root, "workloads", "hello-http", "hello-http.wasm"), join(work, "app.wasm"));
      await using server = await spawnServer();
      const blocks = [...page.matchAll(/^```sh\n(.*?)^```/gms)].map(([, body = ""]) => body);
      const script = blocks.map((block, index) => `echo "== ${index}"\n${block}`).join("\n");
      const adapted = script.replaceAll("http://127.0.0.1:8080", server.ingress);
      const { exitCode, stdout, stderr } = await runCommand(["sh", "-eu", "-c", adapted], {
        cwd: work,
        env: { HOME: work, KUBUN_DATA_DIR: server.dataDir },
      });
      rmSync(work, { recursive: true, force: true });
      expect(exitCode === 0 ? "" : `${stderr}\n${stdout.slice(-2_000)}`).toBe("");
      const answers = stdout.split(/^== \d+$/m).slice(1);
      expect(answers).toHaveLength(blocks.length);
      const [ready, , applied, , watched, reached, listed, logs, scaled, changed] = answers;
      expect(ready).toStartWith("\nok");
      expect(applied).toContain('"manager": "script"');
      expect(watched).toContain('"type":"ADDED"');
      expect(reached).toContain("Hello from Kubun, this is web-");
      expect(listed).toContain('"kind": "Table"');
      expect(logs).toContain("hello-http: ready");
      expect(scaled).toContain('"replicas": 3');
      expect(changed).toContain('"color": "blue"');
      expect(answers.at(-1)).toContain('"reason": "Invalid"');
    },
    TEST_TIMEOUT_MS,
  );
});
