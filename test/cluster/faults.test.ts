import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { spawnServerGroup } from "../harness/server-group.ts";
import type { ServerGroup } from "../harness/server-group.ts";
import { runCommand } from "../harness/spawned-server.ts";
import type { SpawnedServer } from "../harness/spawned-server.ts";
import { missingAt, startLoad, watchFaults } from "./cluster-load.ts";

const TEST_TIMEOUT_MS = 120_000;
const DEADLINE_MS = 30_000;
const SERVERS = 3;
const DISK_BYTES = 256 * 1024 * 1024;
const NO_SPACE = /no space|disk takes no writes/;
const MAPS = "/api/v1/namespaces/default/configmaps";

/** File systems of their own, that can be filled; only root may mount them. */
const disks = Array.from({ length: SERVERS }, () => mkdtempSync(join(tmpdir(), "kubun-disk-")));
const mounted = disks.map((disk) => {
  const command = ["mount", "-t", "tmpfs", "-o", `size=${DISK_BYTES}`, "tmpfs", disk];
  return process.getuid?.() === 0 && Bun.spawnSync({ cmd: command, stderr: "ignore" }).success;
});
const canFill = !mounted.includes(false);
let group: ServerGroup;

beforeAll(async () => {
  const dataDirs = disks.map((disk) => join(disk, "data"));
  for (const dataDir of dataDirs) mkdirSync(dataDir);
  group = await spawnServerGroup({ servers: SERVERS, dataDirs });
}, TEST_TIMEOUT_MS);

afterAll(async () => {
  await group[Symbol.asyncDispose]();
  for (const [index, disk] of disks.entries()) {
    if (mounted[index] === true) Bun.spawnSync({ cmd: ["umount", "--lazy", disk] });
    rmSync(disk, { recursive: true, force: true });
  }
}, TEST_TIMEOUT_MS);

function server(index: number): SpawnedServer {
  const found = group.servers[index];
  if (found === undefined) throw new Error(`there is no server ${index}`);
  return found;
}

/** What is written to the marker; the answer, or undefined when there was none. */
async function mark(at: SpawnedServer, value: string): Promise<Response | undefined> {
  const body = JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", data: { value } });
  const headers = { "content-type": "application/merge-patch+json" };
  const signal = AbortSignal.timeout(DEADLINE_MS);
  const init = { method: "PATCH", headers, body, signal };
  return at.request(`${MAPS}/marker`, init).catch(() => undefined);
}

async function markEventually(at: SpawnedServer, value: string): Promise<void> {
  await eventually(async () => (await mark(at, value))?.ok === true, {
    deadlineMs: DEADLINE_MS,
    what: `${value} is written`,
  });
}

async function markedAt(at: SpawnedServer): Promise<string> {
  const response = await at.request(`${MAPS}/marker`);
  const map = (await response.json()) as { data?: { value: string }; message?: string };
  return map.data?.value ?? `${response.status} ${map.message}`;
}

/** Takes all the space of a server's disk, or gives it back. */
async function setFull(disk: string, full: boolean): Promise<void> {
  const filler = join(disk, "filler");
  if (full) await runCommand(["dd", "if=/dev/zero", `of=${filler}`, "bs=4096"]);
  else rmSync(filler);
}

/** Refuses writes; shows what it has, but does not call it the latest. @returns what it says */
async function expectReadOnly(at: SpawnedServer): Promise<string> {
  // Its disk may take a few small entries more.
  const refused = await eventually(
    async () => {
      const response = await mark(at, "full");
      return response?.status === 503 ? response : undefined;
    },
    { deadlineMs: DEADLINE_MS, what: "a write is refused" },
  );
  // The latest is told as long as a leader with a majority is left; its disk fills by itself.
  await eventually(
    async () => (await markedAt(at)).startsWith("503 the latest state cannot be read now: "),
    { deadlineMs: DEADLINE_MS, what: "a read of the latest is refused" },
  );
  const old = await at.request(`${MAPS}/marker?resourceVersion=0`);
  expect(old.status).toBe(200);
  return refused.text();
}

describe("three servers under faults", () => {
  test(
    "three servers: a leader that stood still serves nothing old as the latest",
    async () => {
      const body = JSON.stringify({ metadata: { name: "marker" } });
      const headers = { "content-type": "application/json" };
      await server(0).request(MAPS, { method: "POST", headers, body });
      for (let round = 0; round < 3; round++) {
        const leader = await group.leader();
        const paused = server(leader);
        const other = server((leader + 1) % SERVERS);
        await markEventually(other, `before-${round}`);
        process.kill(paused.pid, "SIGSTOP");
        let reads: Promise<string>[];
        try {
          await markEventually(other, `after-${round}`);
          // They wait in its sockets, and are the first that it sees.
          reads = Array.from({ length: 16 }, () => markedAt(paused));
        } finally {
          process.kill(paused.pid, "SIGCONT");
        }
        for (const read of await Promise.all(reads)) expect(read).toBe(`after-${round}`);
      }
    },
    TEST_TIMEOUT_MS,
  );

  test.skipIf(!canFill)(
    "three servers: full disks are told at once, and forgotten when there is space",
    async () => {
      const load = await startLoad(group, { writers: 2, watches: 1, name: "full" });
      try {
        await Promise.all(disks.map((disk) => setFull(disk, true)));
        const said = await Promise.all(group.servers.map((at) => expectReadOnly(at)));
        // One that has nothing to write does not know of its disk; one that led does.
        expect(said.filter((text) => NO_SPACE.test(text)).length).toBeGreaterThanOrEqual(1);
      } finally {
        await Promise.all(disks.map((disk) => setFull(disk, false)));
      }
      for (const at of group.servers) await markEventually(at, `space-${at.pid}`);
      const report = await load.stop();
      expect(watchFaults(report)).toEqual([]);
      for (const at of group.servers) expect(await missingAt(at, report.acknowledged)).toEqual([]);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "three servers: all killed at once under load have everything when they are back",
    async () => {
      const load = await startLoad(group, { writers: 16, watches: 2, name: "killed" });
      await markEventually(server(1), "under load");
      await Promise.all(group.servers.map((_, index) => group.kill(index)));
      await Promise.all(group.servers.map((_, index) => group.restart(index)));
      for (const at of group.servers) await markEventually(at, `back-${at.pid}`);
      const report = await load.stop();
      expect(report.acknowledged.length).toBeGreaterThan(0);
      expect(watchFaults(report)).toEqual([]);
      for (const at of group.servers) expect(await missingAt(at, report.acknowledged)).toEqual([]);
    },
    TEST_TIMEOUT_MS,
  );
});
