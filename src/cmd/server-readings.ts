import type { Reading } from "../apiserver/index.ts";
import type { Store } from "../store/index.ts";

const MICROSECONDS = 1e6;

/** What /metrics of a server tells of its store and of its process. */
export function serverReadings(store: Store): Reading[] {
  const startedSeconds = Date.now() / 1_000 - process.uptime();
  const { membership } = store;
  return [
    {
      name: "kubun_store_revision",
      help: "The latest revision that this server has applied.",
      read: () => store.revision,
    },
    {
      name: "kubun_store_compacted_revision",
      help: "The past up to this revision is no longer known.",
      read: () => store.compactedRevision,
    },
    {
      name: "kubun_raft_term",
      help: "The term of the group as this server knows it.",
      read: () => store.leadership.term,
    },
    {
      name: "kubun_raft_is_leader",
      help: "1 on the server that leads.",
      read: () => (store.leadership.self ? 1 : 0),
    },
    {
      name: "kubun_raft_has_leader",
      help: "0 while this server knows of no leader: nothing can be written.",
      read: () => (store.leadership.leader === undefined ? 0 : 1),
    },
    {
      name: "kubun_raft_members",
      help: "Servers of the group, witnesses and joining ones included.",
      read: () => membership.members().length,
    },
    {
      name: "process_resident_memory_bytes",
      help: "Memory of the server's process, without those of pods.",
      read: () => process.memoryUsage.rss(),
    },
    {
      name: "process_cpu_seconds_total",
      help: "Processor time of the server's process.",
      read: () => {
        const { user, system } = process.cpuUsage();
        return (user + system) / MICROSECONDS;
      },
    },
    {
      name: "process_start_time_seconds",
      help: "When the server's process began, in seconds since 1970.",
      read: () => startedSeconds,
    },
  ];
}
