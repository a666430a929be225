/**
 * Three servers in network namespaces: how long no write is acknowledged after the leader was cut
 * off, and how long after the link is whole again until every server knows the leader and has the
 * latest write. Needs root, ip and nft.
 *
 *     bun test/bench/partition-bench.ts [--rounds 10]
 */
import { parseArgs } from "node:util";
import { longestSilence, startLoad, watchFaults } from "../cluster/cluster-load.ts";
import { buildNetworkLab } from "../harness/network-lab.ts";
import type { LabHost } from "../harness/network-lab.ts";
import { realClient } from "../harness/real-kubectl.ts";
import { spawnServerGroup } from "../harness/server-group.ts";
import { runCommand } from "../harness/spawned-server.ts";
import { median, printTable } from "./measure-process.ts";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "10" } } });
const SERVERS = 3;
const BEFORE_MS = 2_000;
const CUT_MS = 5_000;

/** A function, so that servers and namespaces are gone before the process ends. */
async function bench(): Promise<void> {
  await using lab = await buildNetworkLab(SERVERS + 1);
  const hosts = lab.hosts.slice(0, SERVERS);
  const client = lab.hosts[SERVERS];
  if (client === undefined) throw new Error("the laboratory has a host for clients");
  await using group = await spawnServerGroup({ servers: SERVERS, hosts });

  async function kubectl(host: LabHost, kubeconfig: string, ...args: string[]): Promise<boolean> {
    const command = [realClient("kubectl"), "--kubeconfig", kubeconfig, "--request-timeout=1s"];
    return (await runCommand(host.command([...command, ...args]))).exitCode === 0;
  }

  /** A linearizable read at the server that was away: it must know the leader, and have caught up. */
  async function untilServed(index: number, name: string): Promise<number> {
    const startedMs = performance.now();
    const { kubeconfig } = group.servers[index] ?? { kubeconfig: "" };
    const host = client ?? hosts[0];
    if (host === undefined) return Number.NaN;
    while (!(await kubectl(host, kubeconfig, "get", "configmap", name))) {
      if (performance.now() - startedMs > 30_000) return Number.NaN;
    }
    return performance.now() - startedMs;
  }

  const rows: (string | number)[][] = [];
  for (const victim of ["leader", "follower"] as const) {
    const silences: number[] = [];
    const heals: number[] = [];
    let faults = 0;
    for (let round = 0; round < Number(values.rounds); round++) {
      const name = `${victim}${round}`;
      const command = client.command;
      const load = await startLoad(group, { writers: 8, watches: 2, name, command });
      await Bun.sleep(BEFORE_MS);
      const leader = await group.leader();
      const index = victim === "leader" ? leader : (leader + 1) % SERVERS;
      const cutAtMs = Date.now();
      for (const other of hosts.filter((_, at) => at !== index)) {
        await lab.cut(hosts[index] ?? other, other);
        await lab.cut(other, hosts[index] ?? other);
      }
      await Bun.sleep(CUT_MS);
      const survivor = group.servers[(index + 1) % SERVERS]?.kubeconfig ?? "";
      await kubectl(client, survivor, "create", "configmap", `last-${name}`);
      await lab.heal();
      heals.push(await untilServed(index, `last-${name}`));
      const report = await load.stop();
      silences.push(longestSilence({ ...report }, cutAtMs));
      faults += watchFaults(report).length;
    }
    rows.push([
      victim,
      median(silences).toFixed(0),
      Math.max(...silences).toFixed(0),
      median(heals).toFixed(0),
      Math.max(...heals).toFixed(0),
      faults,
    ]);
  }
  printTable(
    ["cut off", "silence median ms", "max ms", "healed median ms", "max ms", "watch faults"],
    rows,
  );
}

await bench();
process.exit();
