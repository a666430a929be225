import type { Clock, Logger, Random } from "../lib/index.ts";
import type { CommandResult } from "../mvcc/index.ts";
import type { LogEntry, MemberId, RaftCore, SnapshotPoint } from "../raft/index.ts";
import type { GroupRecord } from "./group-record.ts";
import type { DurableLog } from "./log/log-types.ts";
import type { PeerTransport } from "./peer-transport.ts";
import type { DriverLimits } from "./proposals.ts";

/** What committed entries change: the state machine, or a witness's note of who is a member. */
export interface Applier {
  readonly appliedIndex: number;
  readonly appliedTerm: number;
  /** @throws an error of a full disk before anything changed: it is tried again */
  apply(entry: LogEntry): readonly CommandResult[];
  applyConfig(entry: LogEntry, group: GroupRecord): void;
}

/** State by wire, for members that the log cannot bring up to date. */
export interface SnapshotExchange {
  /** The core wants this member to get the state. */
  send(to: MemberId): void;
  /** Takes over what was received for this point, log included; gives its group. */
  install(point: SnapshotPoint): Promise<GroupRecord>;
}

export interface DriverOptions {
  readonly core: RaftCore;
  readonly log: Pick<DurableLog, "append" | "read">;
  readonly applier: Applier;
  readonly group: GroupRecord;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly limits?: DriverLimits | undefined;
  readonly transport?: PeerTransport | undefined;
  readonly snapshots: SnapshotExchange;
  /** Called after every applied entry, before the proposers hear of it. */
  readonly onApplied: (entry: LogEntry) => void;
  readonly onGroup: (group: GroupRecord) => void;
  /** Called with every tick that the core was told. */
  readonly onTick: () => void;
  /** Called once, when nothing can be written any more. */
  readonly onFatal: (error: Error) => void;
  /** Called once, when the group has removed this member. */
  readonly onRemoved: () => void;
}
