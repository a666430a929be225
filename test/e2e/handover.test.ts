import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CONFIG_MAPS, PODS } from "../../src/client/index.ts";
import { isSameProcess, processStartTime } from "../../src/os/index.ts";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { replaceServer, rollOver, servedDeployment } from "../harness/handover.ts";
import { startLoad } from "../harness/http-load.ts";
import { spawnServer } from "../harness/spawned-server.ts";

const MODULE = join(import.meta.dir, "..", "..", "workloads", "hello-http", "hello-http.wasm");
const TEST_TIMEOUT_MS = 60_000;

describe("kubun server --take-over", () => {
  test(
    "kubun server --take-over: no request through Ingress fails while a Deployment rolls over",
    async () => {
      await using server = await spawnServer({ args: ["--dns-port", "0"] });
      await servedDeployment(server, new Uint8Array(readFileSync(MODULE)));
      const startTime = processStartTime(server.pid) ?? "";
      const load = startLoad({ port: Number(new URL(server.ingress).port), ratePerSecond: 500 });
      const rolling = rollOver(server.client, 1);
      const successor = await replaceServer(server.dataDir);
      await using _ = { [Symbol.asyncDispose]: () => successor.end() };
      await rolling;
      // The state is the same, and it can be written.
      const maps = server.client.resource(CONFIG_MAPS, "default");
      await maps.create({ metadata: { name: "after" }, data: {} });
      const { items } = await server.client.resource(PODS, "default").list();
      const restarts = items.flatMap(({ status }) => status?.containerStatuses ?? []);
      expect(restarts.filter(({ restartCount }) => restartCount > 0)).toEqual([]);
      await eventually(() => !isSameProcess(server.pid, startTime), {
        deadlineMs: 15_000,
        what: "the predecessor ends",
      });
      const { sent, answered, failures } = await load.stop();
      expect(failures).toEqual([]);
      expect(answered).toBe(sent);
      expect(sent).toBeGreaterThan(500);
    },
    TEST_TIMEOUT_MS,
  );
});
