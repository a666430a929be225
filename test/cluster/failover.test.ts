import { describe, expect, test } from "bun:test";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { kubectlWith } from "../harness/real-kubectl.ts";
import { spawnServerGroup } from "../harness/server-group.ts";
import { longestSilence, missingAt, startLoad, watchFaults } from "./cluster-load.ts";

const TEST_TIMEOUT_MS = 180_000;
const KILLS = 2;
const WRITERS = 32;

describe("three servers", () => {
  test(
    "three servers: a killed leader costs nothing acknowledged, no watch an event, and little time",
    async () => {
      await using group = await spawnServerGroup({ servers: 3 });
      for (let round = 0; round < KILLS; round++) {
        const load = await startLoad(group, {
          writers: WRITERS,
          watches: 3,
          name: `round${round}`,
        });
        const leader = await group.leader();
        const killedAtMs = Date.now();
        await group.kill(leader);
        const survivors = group.servers.filter((_, index) => index !== leader);
        for (const { kubeconfig } of survivors) {
          const kubectl = kubectlWith(kubeconfig);
          const name = `after-${round}-${survivors.findIndex((one) => one.kubeconfig === kubeconfig)}`;
          await eventually(() => kubectl.ok("create", "configmap", name), {
            deadlineMs: 30_000,
            what: "kubectl writes at a survivor",
          });
          expect(await kubectl.ok("get", "configmap", name, "-o", "name")).toContain(name);
        }
        const report = await load.stop();
        expect(report.acknowledged.length).toBeGreaterThan(100);
        expect(report.acknowledgedAtMs.at(-1)).toBeGreaterThan(killedAtMs);
        // The time it took is a matter of test/bench; that it ended is one of this test.
        expect(longestSilence(report, killedAtMs)).toBeLessThan(30_000);
        for (const server of survivors) {
          expect(await missingAt(server, report.acknowledged)).toEqual([]);
        }
        expect(watchFaults(report)).toEqual([]);
        await group.restart(leader);
        for (const server of group.servers) {
          expect(await missingAt(server, report.acknowledged)).toEqual([]);
        }
      }
    },
    TEST_TIMEOUT_MS,
  );
});
