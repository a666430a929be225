import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock, Logger } from "../../../lib/index.ts";
import type { ProcessSpawner } from "../../process-spawner.ts";
import { findHierarchies } from "./cgroup-hierarchies.ts";
import { CgroupLimits } from "./cgroup-limits.ts";
import { ConsiderateLimits } from "./considerate-limits.ts";
import type { ProcessLimits } from "./process-limits.ts";
import { processorReadings } from "./processor-readings.ts";
import { SignalLimits } from "./signal-limits.ts";
import { openTimeSlices } from "./time-slices.ts";

export interface OpenProcessLimitsOptions {
  /** Names the node: two of one machine have two directories. */
  readonly stateDirectory: string;
  /** Of the machine. */
  readonly cpuMillis: number;
  readonly spawner: ProcessSpawner;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Cgroups where they may be written, which mostly takes root; signals elsewhere. */
export async function openProcessLimits(options: OpenProcessLimitsOptions): Promise<ProcessLimits> {
  const limits = considerate(await openLimits(options), options);
  options.logger.info("limits of pods are kept", { by: limits.kind });
  return limits;
}

/** Where the kernel can be told who goes first. */
function considerate(limits: ProcessLimits, options: OpenProcessLimitsOptions): ProcessLimits {
  const slices = openTimeSlices();
  if (slices === undefined) return limits;
  const { spawner, clock } = options;
  const readings = processorReadings;
  return new ConsiderateLimits({
    limits,
    slices,
    readings,
    spawner,
    clock,
    ownPid: process.pid,
  });
}

async function openLimits(options: OpenProcessLimitsOptions): Promise<ProcessLimits> {
  const { logger, clock, spawner, stateDirectory, cpuMillis } = options;
  const mounts = readFile("/proc/mounts");
  const hierarchies = findHierarchies(mounts, (directory) =>
    readFile(join(directory, "cgroup.controllers")),
  );
  if (hierarchies !== undefined) {
    const nodeId = createHash("sha256").update(stateDirectory).digest("hex").slice(0, 12);
    const limits = new CgroupLimits({ hierarchies, nodeId, cpuMillis, clock, logger });
    try {
      await limits.open();
      return limits;
    } catch (error) {
      logger.debug("cgroups cannot be written", { error: String(error) });
    }
  }
  return new SignalLimits({ spawner, clock, logger });
}

function readFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // Not this kind of system.
  }
}
