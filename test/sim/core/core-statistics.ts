import { Statistics } from "../statistics.ts";

/** What strikes the group. */
export const FAULTS = [
  "message lost",
  "message duplicated",
  "message delayed",
  "partition",
  "asymmetric partition",
  "member cut off",
  "crash",
  "crash losing a write",
  "log damaged",
  "slow disk",
  "pause",
  "clock jump",
  "clock drift",
] as const;

/** What clients, operators and the group itself do. */
export const DEEDS = [
  "proposed",
  "acknowledged",
  "message sent",
  "read asked",
  "read answered",
  "leader elected",
  "leadership transfer",
  "configuration change",
  "configuration applied",
  "joint change",
  "witness",
  "snapshot sent",
  "snapshot installed",
  "log compacted",
  "entries loaded",
  "restart",
] as const;

export type Fault = (typeof FAULTS)[number];
export type Deed = (typeof DEEDS)[number];

export type CoreStatistics = Statistics<Fault | Deed>;

export function createCoreStatistics(): CoreStatistics {
  return new Statistics<Fault | Deed>({ faults: FAULTS, deeds: DEEDS });
}
