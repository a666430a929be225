import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { kubectlWith } from "../harness/real-kubectl.ts";
import { KUBUN, runCommand, spawnServer } from "../harness/spawned-server.ts";
import type { SpawnedServer } from "../harness/spawned-server.ts";

const NAME = "counter-keyvalue";
const folder = join(import.meta.dir, "..", "..", "workloads", NAME);
const TEST_TIMEOUT_MS = 120_000;
const STORES = "/apis/kubun.dev/v1/namespaces";

describe(NAME, () => {
  let server: SpawnedServer;

  beforeAll(async () => {
    server = await spawnServer();
  }, TEST_TIMEOUT_MS);

  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  }, TEST_TIMEOUT_MS);

  const kubectl = (...args: string[]): Promise<string> =>
    kubectlWith(server.kubeconfig).ok(...args);

  async function ask(method: string, path: string): Promise<string> {
    const headers = { host: `${NAME}.example` };
    const response = await fetch(server.ingress + path, { method, headers });
    return `${response.status} ${(await response.text()).trim()}`;
  }

  /** What so many increments answered, from several clients at once, as sorted numbers. */
  async function counted(clients: number, each: number): Promise<number[]> {
    const one = async (): Promise<number[]> => {
      const found: number[] = [];
      for (let count = 0; count < each; count++) {
        const [status, text = ""] = (await ask("POST", "/count/visits")).split(" ");
        expect(status).toBe("200");
        found.push(Number(text));
      }
      return found;
    };
    const all = await Promise.all(Array.from({ length: clients }, one));
    return all.flat().sort((a, b) => a - b);
  }

  /** The lines of a watch up to its first bookmark. */
  async function firstLines(path: string): Promise<{ type: string; object: { key?: string } }[]> {
    const stopped = new AbortController();
    const response = await server.request(path, { signal: stopped.signal });
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true });
      if (text.includes("BOOKMARK")) break;
    }
    stopped.abort();
    return text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  }

  const upTo = (from: number, to: number): number[] =>
    Array.from({ length: to - from + 1 }, (_, index) => from + index);

  test(
    `${NAME}: two replicas lose no increment, and a new server has what the old one had`,
    async () => {
      const image = [join(folder, `${NAME}.wasm`), `${NAME}:v1`];
      const push = [KUBUN, "image", "push", "--data-dir", server.dataDir, ...image];
      const { exitCode, stderr } = await runCommand(push);
      expect([exitCode, stderr]).toEqual([0, expect.stringContaining("kubun.dev/keyvalue-stores")]);
      const manifest = readFileSync(join(folder, `${NAME}.yaml`), "utf8");
      await kubectlWith(server.kubeconfig).feed(manifest, "apply", "-f", "-");
      await kubectl("rollout", "status", `deployment/${NAME}`, "--timeout=60s");
      await eventually(async () => (await ask("GET", "/healthz")) === "200 ok");
      expect(await ask("GET", "/count/visits")).toBe("404 not counted yet");
      expect(await counted(8, 10)).toEqual(upTo(1, 80));
      expect(await ask("POST", "/best/score?n=7")).toBe("200 7");
      expect(await ask("POST", "/best/score?n=3")).toBe("200 7");
      expect(await ask("GET", "/")).toBe("200 score 7\nvisits 80");

      // The namespace's content goes with it, while the rest of this test runs.
      await kubectl("create", "namespace", "team");
      const team = `${STORES}/team/keyvaluestores/notes`;
      const put = { method: "PUT", body: "hello" };
      expect((await server.request(`${team}/values?key=a%2Fb`, put)).status).toBe(200);
      await kubectl("delete", "namespace", "team", "--wait=false");

      const { dataDir } = server;
      expect(await server.end("SIGTERM")).toBe(0);
      server = await spawnServer({ dataDir });
      await eventually(async () => (await ask("GET", "/count/visits")) === "200 80");
      expect(await counted(8, 10)).toEqual(upTo(81, 160));
      const restarts = ["-l", `app=${NAME}`, "-o", "jsonpath={..restartCount}"];
      expect(await kubectl("get", "pods", ...restarts)).toBe("0 0");

      const [head = "", row = ""] = (await kubectl("get", "keyvaluestores")).split("\n");
      expect(head.split(/\s+/).filter(Boolean)).toEqual(["NAME", "KEYS", "SIZE", "AGE"]);
      expect(row.split(/\s+/).slice(0, 3)).toEqual(["counters", "2", "15B"]);
      const value = `${STORES}/default/keyvaluestores/counters/values?key=visits`;
      expect(await kubectl("get", "--raw", value)).toBe("160");
      const watched = await firstLines(`${STORES}/default/keyvaluestores/counters/keys?watch=true`);
      expect(watched.map(({ type, object: { key } }) => [type, key])).toEqual([
        ["ADDED", "score"],
        ["ADDED", "visits"],
        ["BOOKMARK", undefined],
      ]);
      await kubectl("delete", "keyvaluestore", "counters");
      expect(await ask("GET", "/count/visits")).toBe("404 not counted yet");

      await eventually(
        async () => (await server.request("/api/v1/namespaces/team")).status === 404,
      );
      expect((await server.request(team)).status).toBe(404);
      expect(server.output()).not.toContain("keyvalue gate");
    },
    TEST_TIMEOUT_MS,
  );
});
