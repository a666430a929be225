import { describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { kubectlWith } from "../harness/real-kubectl.ts";
import { joinArgs, listMembers, spawnServerGroup } from "../harness/server-group.ts";
import { KUBUN, runCommand, spawnServer, temporaryDirectory } from "../harness/spawned-server.ts";
import type { SpawnedServer } from "../harness/spawned-server.ts";

const TEST_TIMEOUT_MS = 120_000;
const SOON = { deadlineMs: 30_000 };

async function kubun(...args: string[]): Promise<string> {
  const result = await runCommand([KUBUN, ...args]);
  if (result.exitCode !== 0) throw new Error(`kubun ${args.join(" ")}: ${result.stderr}`);
  return result.stdout;
}

/** The revision of the store, as any list tells it. */
async function revisionOf(server: SpawnedServer): Promise<number> {
  const response = await server.request("/api/v1/namespaces/default/configmaps?limit=1");
  const list = (await response.json()) as { metadata: { resourceVersion: string } };
  return Number(list.metadata.resourceVersion);
}

async function write(server: SpawnedServer, name: string): Promise<void> {
  const kubectl = kubectlWith(server.kubeconfig);
  await eventually(() => kubectl.ok("create", "configmap", name), { ...SOON, what: name });
}

async function read(server: SpawnedServer): Promise<string[]> {
  const text = await kubectlWith(server.kubeconfig).ok("get", "configmaps", "-o", "name");
  return text.trim().split("\n").toSorted();
}

async function joinTo(server: SpawnedServer, name: string): Promise<SpawnedServer> {
  const own = ["--node-name", name, "--peer-port", "0"];
  return spawnServer({ args: [...own, ...(await joinArgs(server, "server"))] });
}

describe("the state of a cluster that was lost", () => {
  test(
    "the state of a cluster that was lost: comes from one survivor, or from a snapshot",
    async () => {
      await using group = await spawnServerGroup({ servers: 3 });
      const leader = await group.leader();
      const [survivor, follower] = group.servers.filter((_, index) => index !== leader);
      if (survivor === undefined || follower === undefined) throw new Error("three servers run");
      await write(survivor, "in-the-snapshot");
      const snapshots = temporaryDirectory();
      const file = join(snapshots, "state.snapshot");
      await kubun("snapshot", "save", file, "--data-dir", follower.dataDir);
      await write(follower, "after-the-snapshot");
      await eventually(async () => (await read(survivor)).length === 3, SOON);
      const revision = await revisionOf(survivor);
      for (const index of [0, 1, 2]) await group.kill(index);

      // As a unit file would: the flag stays, and does nothing at the second start.
      const again = ["--peer-port", "0", "--cluster-reset"];
      const reset = await spawnServer({ dataDir: survivor.dataDir, args: again });
      const [alone, ...others] = await listMembers(reset);
      expect(others).toEqual([]);
      expect(await read(reset)).toContain("configmap/after-the-snapshot");
      expect(await revisionOf(reset)).toBeGreaterThan(revision);
      await using another = await joinTo(reset, "server-9");
      await write(another, "after-the-reset");
      await eventually(async () => (await listMembers(another)).length === 2, SOON);
      await reset.end("SIGKILL");
      await using restarted = await spawnServer({ dataDir: survivor.dataDir, args: again });
      expect(restarted.output()).toContain("start it without --cluster-reset");
      const ids = (await listMembers(restarted)).map(({ id }) => id);
      expect(ids).toHaveLength(2);
      expect(ids).toContain(alone?.id ?? 0);
      await write(restarted, "after-the-restart");
      expect(await read(another)).toContain("configmap/after-the-restart");

      const dataDir = temporaryDirectory();
      await kubun("snapshot", "restore", file, "--data-dir", dataDir);
      await using restored = await spawnServer({
        dataDir,
        args: ["--node-name", "server-1", "--peer-port", "0"],
      });
      await using joined = await joinTo(restored, "server-4");
      const maps = ["configmap/in-the-snapshot", "configmap/kube-root-ca.crt"];
      expect(await read(joined)).toEqual(maps);
      expect(await revisionOf(joined)).toBeGreaterThan(revision);
      rmSync(snapshots, { recursive: true });
    },
    TEST_TIMEOUT_MS,
  );
});
