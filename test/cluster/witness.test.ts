import { describe, expect, test } from "bun:test";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { kubectlWith } from "../harness/real-kubectl.ts";
import { joinArgs, listMembers } from "../harness/server-group.ts";
import { spawnServer } from "../harness/spawned-server.ts";
import type { SpawnedServer } from "../harness/spawned-server.ts";
import { spawnWitness } from "../harness/spawned-machine.ts";
import { missingAt } from "./cluster-load.ts";

const TEST_TIMEOUT_MS = 180_000;
const LAG_ENTRIES = 10_000;
const WRITERS = 64;
const SOON = { deadlineMs: 60_000 };

/** Writes so many ConfigMaps at one server and gives the names of those it acknowledged. */
async function writeMany(server: SpawnedServer, prefix: string, count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
  const acknowledged: string[] = [];
  const write = async (name: string): Promise<void> => {
    const response = await server.request("/api/v1/namespaces/default/configmaps", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name } }),
    });
    await response.text();
    if (response.status === 201) acknowledged.push(name);
  };
  const waiting = names.values();
  const writer = async (): Promise<void> => {
    for (const name of waiting) await write(name);
  };
  await Promise.all(Array.from({ length: WRITERS }, writer));
  return acknowledged;
}

/** The server goes on: it takes writes by kubectl, and has everything that was acknowledged. */
async function goesOn(server: SpawnedServer, acknowledged: string[], name: string): Promise<void> {
  const kubectl = kubectlWith(server.kubeconfig);
  const create = ["create", "configmap", name, "--request-timeout=10s"];
  await eventually(() => kubectl.ok(...create), { ...SOON, what: `${name} is written` });
  acknowledged.push(name);
  expect(await missingAt(server, acknowledged)).toEqual([]);
}

async function leads(server: SpawnedServer, name: string): Promise<boolean> {
  const members = await listMembers(server);
  return members.find(({ leader }) => leader)?.name === name;
}

describe("two servers and a witness", () => {
  test(
    "two servers and a witness: either server may be lost, also when the other lags far behind",
    async () => {
      const own = (name: string): string[] => ["--node-name", name, "--peer-port", "0"];
      await using first = await spawnServer({ args: own("server-1") });
      const join = await joinArgs(first, "server");
      await using second = await spawnServer({ args: [...own("server-2"), ...join] });
      const witnessArgs = ["--node-name", "witness-1", ...join];
      await using witness = await spawnWitness({ args: witnessArgs });
      await eventually(
        async () => (await listMembers(first)).every(({ role }) => role !== "learner"),
        { ...SOON, what: "everybody votes" },
      );
      expect(await leads(first, "server-1")).toBe(true);

      // What the second server does not hear is only at the first and the witness.
      process.kill(second.pid, "SIGSTOP");
      const acknowledged: string[] = [];
      try {
        acknowledged.push(...(await writeMany(first, "lag", LAG_ENTRIES)));
        expect(acknowledged).toHaveLength(LAG_ENTRIES);
        await first.end("SIGKILL");
      } finally {
        process.kill(second.pid, "SIGCONT");
      }
      await goesOn(second, acknowledged, "first-is-lost");

      await using again = await spawnServer({ dataDir: first.dataDir, args: own("server-1") });
      await goesOn(again, acknowledged, "first-is-back");
      await second.end("SIGKILL");
      await goesOn(again, acknowledged, "second-is-lost");

      await using back = await spawnServer({ dataDir: second.dataDir, args: own("server-2") });
      await goesOn(back, acknowledged, "second-is-back");
      await witness.end("SIGKILL");
      await goesOn(back, acknowledged, "witness-is-lost");
    },
    TEST_TIMEOUT_MS,
  );
});
