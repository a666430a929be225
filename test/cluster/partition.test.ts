import { describe, expect, test } from "bun:test";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { buildNetworkLab, labObstacle } from "../harness/network-lab.ts";
import type { LabHost, NetworkLab } from "../harness/network-lab.ts";
import { realClient } from "../harness/real-kubectl.ts";
import { listMembers, spawnServerGroup } from "../harness/server-group.ts";
import type { ServerGroup } from "../harness/server-group.ts";
import { runCommand } from "../harness/spawned-server.ts";
import { startLoad, watchFaults } from "./cluster-load.ts";

const obstacle = await labObstacle();
const TEST_TIMEOUT_MS = 180_000;
const SERVERS = 3;

/** kubectl in one host, against the server of another. */
async function kubectl(from: LabHost, kubeconfig: string, ...args: string[]): Promise<string> {
  const command = [realClient("kubectl"), "--kubeconfig", kubeconfig, "--request-timeout=20s"];
  const result = await runCommand(from.command([...command, ...args]), {
    env: { HOME: "/nonexistent" },
  });
  if (result.exitCode !== 0) throw new Error(`kubectl ${args.join(" ")}: ${result.stderr}`);
  return result.stdout;
}

interface Scene {
  readonly lab: NetworkLab;
  readonly group: ServerGroup;
  readonly hosts: readonly LabHost[];
  /** Where clients are: a host of its own, which nothing cuts off. */
  readonly client: LabHost;
}

async function leaderSeenBy(scene: Scene, index: number): Promise<string | undefined> {
  const server = scene.group.servers[index];
  const host = scene.hosts[index];
  if (server === undefined || host === undefined) return undefined;
  const members = await listMembers(server, host).catch(() => []);
  return members.find(({ leader }) => leader)?.name;
}

/**
 * Under load, cuts, waits until the others go on, heals, and looks at what everybody has. `cut`
 * gives the index of the server that is cut off, if one is.
 */
async function survive(
  scene: Scene,
  name: string,
  cut: (leader: number) => Promise<number | undefined>,
): Promise<void> {
  const { group, lab, client } = scene;
  const load = await startLoad(group, {
    writers: 8,
    watches: 3,
    name,
    command: client.command,
  });
  const leader = await group.leader();
  const cutOff = await cut(leader);
  const others = group.servers.filter((_, index) => index !== cutOff);
  for (const [index, { kubeconfig }] of others.entries()) {
    const map = `by-kubectl-${name}-${index}`;
    await eventually(() => kubectl(client, kubeconfig, "create", "configmap", map), {
      deadlineMs: 30_000,
      what: `${name}: the others write`,
    });
  }
  await lab.heal();
  await eventually(
    async () => {
      const seen = await Promise.all([0, 1, 2].map((index) => leaderSeenBy(scene, index)));
      return seen.every((leaderName) => leaderName !== undefined && leaderName === seen[0]);
    },
    { deadlineMs: 20_000, what: `${name}: all servers know the leader again` },
  );
  const report = await load.stop();
  expect(report.acknowledged.length).toBeGreaterThan(10);
  expect(watchFaults(report)).toEqual([]);
  for (const { kubeconfig } of group.servers) {
    const text = await kubectl(client, kubeconfig, "get", "configmaps", "-o", "name");
    const present = new Set(text.trim().split("\n"));
    const missing = report.acknowledged.filter((one) => !present.has(`configmap/${one}`));
    expect(missing).toEqual([]);
  }
}

describe.skipIf(obstacle !== undefined)("three servers on three machines", () => {
  test(
    "three servers on three machines: go on when one is cut off, in whatever way, and heal",
    async () => {
      await using lab = await buildNetworkLab(SERVERS + 1);
      const hosts = lab.hosts.slice(0, SERVERS);
      const client = lab.hosts[SERVERS];
      if (client === undefined) throw new Error("the laboratory has a host for clients");
      await using group = await spawnServerGroup({ servers: SERVERS, hosts });
      const scene: Scene = { lab, group, hosts, client };
      const hostAt = (index: number): LabHost => hosts[index % SERVERS] ?? client;
      const apart = async (index: number): Promise<number> => {
        for (const other of [index + 1, index + 2]) {
          await lab.cut(hostAt(index), hostAt(other));
          await lab.cut(hostAt(other), hostAt(index));
        }
        return index % SERVERS;
      };
      await survive(scene, "leader-alone", (leader) => apart(leader));
      await survive(scene, "follower-alone", (leader) => apart(leader + 1));
      // Heard by nobody, but hearing all: it must neither lead on nor disturb who leads.
      await survive(scene, "leader-mute", async (leader) => {
        await lab.cut(hostAt(leader), hostAt(leader + 1));
        await lab.cut(hostAt(leader), hostAt(leader + 2));
        return leader;
      });
      // One link only, one way: who follows no more must not topple who leads a majority for good.
      await survive(scene, "one-way", async (leader) => {
        await lab.cut(hostAt(leader), hostAt(leader + 1));
        return (leader + 1) % SERVERS;
      });
    },
    TEST_TIMEOUT_MS,
  );
});
