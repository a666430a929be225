/**
 * How long no write is acknowledged after the leader of three servers was killed, under 32 writers
 * that try all servers; and whether anything acknowledged was lost or any watch skipped.
 *
 *     bun test/bench/failover-bench.ts [--kills 20]
 */
import { parseArgs } from "node:util";
import { longestSilence, missingAt, startLoad, watchFaults } from "../cluster/cluster-load.ts";
import { spawnServerGroup } from "../harness/server-group.ts";
import { median, percentile, printTable } from "./measure-process.ts";

const { values } = parseArgs({ options: { kills: { type: "string", default: "20" } } });
const WRITERS = 32;
const WATCHES = 3;
const BEFORE_MS = 1_500;
const AFTER_MS = 4_000;

/** A function, so that the servers are gone before the process ends. Gives what went wrong. */
async function bench(): Promise<number> {
  const silences: number[] = [];
  let acknowledged = 0;
  let lost = 0;
  let faults = 0;
  await using group = await spawnServerGroup({ servers: 3 });
  for (let kill = 0; kill < Number(values.kills); kill++) {
    const load = await startLoad(group, {
      writers: WRITERS,
      watches: WATCHES,
      name: `kill${kill}`,
    });
    await Bun.sleep(BEFORE_MS);
    const leader = await group.leader();
    const killedAtMs = Date.now();
    await group.kill(leader);
    await Bun.sleep(AFTER_MS);
    const report = await load.stop();
    silences.push(longestSilence(report, killedAtMs));
    acknowledged += report.acknowledged.length;
    for (const [index, server] of group.servers.entries()) {
      if (index !== leader) lost += (await missingAt(server, report.acknowledged)).length;
    }
    faults += watchFaults(report).length;
    await group.restart(leader);
    // The next round begins with an empty namespace, or lists would be what is measured.
    await group.servers[0]?.request("/api/v1/namespaces/default/configmaps", { method: "DELETE" });
  }
  printTable(
    [
      "leader killed",
      "median ms",
      "p90 ms",
      "max ms",
      "writes acknowledged",
      "lost",
      "watch faults",
    ],
    [
      [
        silences.length,
        median(silences).toFixed(0),
        percentile(silences, 90).toFixed(0),
        Math.max(...silences).toFixed(0),
        acknowledged,
        lost,
        faults,
      ],
    ],
  );
  return lost + faults;
}

process.exit((await bench()) === 0 ? 0 : 1);
