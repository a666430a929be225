import { existsSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { CommandError } from "../cli/index.ts";
import { openImageStore } from "../images/index.ts";
import { silentLogger } from "../lib/index.ts";
import { createLogger, isSameProcess, systemClock, systemRandom } from "../os/index.ts";
import { leaveRanges } from "./choose-ranges.ts";
import { besideContainers, removeContainerPods } from "./container-runtime.ts";
import { locateDataDirectory, partsOf, readSettings } from "./data-directory.ts";
import type { DataDirectory, ServerRecord } from "./data-directory.ts";
import { createRuntime, podCidrOfFirstNode } from "./node.ts";
import { findRunningServer } from "./running-cluster.ts";

/** Tells a server to end its pods and then itself; SIGTERM would leave the pods running. */
export const STOP_WITH_PODS_SIGNAL = "SIGUSR2";

const STOP_DEADLINE_MS = 60_000;
const POLL_INTERVAL_MS = 25;

/** Ends the server and the pods of a data directory. Resolves to false when none ran. */
export async function stopCluster(dataDir: string): Promise<boolean> {
  const directory = locateDataDirectory(dataDir);
  const record = findRunningServer(directory);
  if (record === undefined) return endOrphanedPods(directory);
  process.kill(record.pid, STOP_WITH_PODS_SIGNAL);
  await waitForEnd(record, directory);
  return true;
}

/** Ends what a server that was ended by SIGTERM, or killed, left running. */
async function endOrphanedPods(directory: DataDirectory): Promise<boolean> {
  const { clusterCidr, serviceCidr } = readSettings(directory);
  if (clusterCidr === undefined || serviceCidr === undefined) return false;
  const logger = silentLogger;
  const modules = createRuntime({
    directory,
    images: openImageStore({ directory: directory.images, clock: systemClock, logger }),
    podCidr: podCidrOfFirstNode(clusterCidr),
    clock: systemClock,
    random: systemRandom,
    logger,
    warmWorkers: 0,
  });
  const runtime = besideContainers(modules, {
    directory,
    ranges: { clusterCidr, serviceCidr },
    registries: () => [],
    clock: systemClock,
    logger,
  });
  await runtime.start();
  const containers = await runtime.listContainers();
  const running = containers.filter((container) => container.state === "running");
  await Promise.all(running.map(({ id }) => runtime.stopContainer(id, { gracePeriodMs: 0 })));
  await removeContainerPods(runtime, {
    endpoint: undefined,
    logger: createLogger({ level: "warn" }),
  });
  runtime.shutdown();
  await leaveRanges(directory);
  return running.length > 0;
}

/** Removes a data directory, after its cluster was stopped. */
export async function deleteCluster(dataDir: string): Promise<void> {
  const directory = locateDataDirectory(dataDir);
  if (!existsSync(directory.path)) {
    throw new CommandError(`there is no ${directory.path}: nothing to delete`);
  }
  if (!isCluster(directory)) {
    throw new CommandError(
      `${directory.path} holds no cluster (no settings.json, tls and store), so it is left alone`,
    );
  }
  await stopCluster(dataDir);
  // Only what a cluster keeps: somebody may have put other things into the directory.
  for (const part of partsOf(directory)) rmSync(part, { recursive: true, force: true });
  if (readdirSync(directory.path).length === 0) rmdirSync(directory.path);
}

function isCluster({ settings, tls, store }: DataDirectory): boolean {
  return [settings, tls, store].every((path) => existsSync(path));
}

async function waitForEnd(record: ServerRecord, directory: DataDirectory): Promise<void> {
  const deadlineMs = performance.now() + STOP_DEADLINE_MS;
  while (isSameProcess(record.pid, record.startTime)) {
    if (performance.now() > deadlineMs) {
      throw new CommandError(
        `the server (pid ${record.pid}) of ${directory.path} did not end within ` +
          `${STOP_DEADLINE_MS / 1000} s; its log may tell why: ${directory.serverLog}`,
      );
    }
    await Bun.sleep(POLL_INTERVAL_MS);
  }
}
