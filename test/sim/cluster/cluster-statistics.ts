import { Statistics } from "../statistics.ts";

/** What strikes the servers. */
export const FAULTS = [
  "message lost",
  "message duplicated",
  "network storm",
  "partition",
  "asymmetric partition",
  "server cut off",
  "process killed",
  "power cut",
  "torn write",
  "disk full",
  "slow disk",
  "sync failure",
  "bit rot",
  "pause",
  "clock jump",
] as const;

/** What clients, operators and the servers do. */
export const DEEDS = [
  "message sent",
  "request",
  "request forwarded",
  "create",
  "update",
  "delete",
  "get",
  "list",
  "answered",
  "refused",
  "outcome unknown",
  "service created",
  "watch opened",
  "watch event",
  "watch told 410",
  "server added",
  "server removed",
  "leadership transfer",
  "snapshot sent",
  "snapshot installed",
  "restart",
  "history checked",
  "state hash compared",
] as const;

export type ClusterFault = (typeof FAULTS)[number];
export type ClusterDeed = (typeof DEEDS)[number];
export type ClusterStatistics = Statistics<ClusterFault | ClusterDeed>;

export function createClusterStatistics(): ClusterStatistics {
  return new Statistics<ClusterFault | ClusterDeed>({ faults: FAULTS, deeds: DEEDS });
}
