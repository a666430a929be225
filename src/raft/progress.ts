import { assert } from "../lib/index.ts";
import { InflightWindow } from "./inflight.ts";
import type { LogIndex, MemberId, PeerProgress, RaftLimits } from "./types.ts";

/**
 * What the leader knows of one member's log, and how it sends to it.
 *
 *     probe      one append at a time, until an answer shows where the logs meet
 *     replicate  optimistically, as many as the window takes
 *     snapshot   nothing, until the state has arrived or its transfer has failed
 *
 * Everything up to `match` is durable there; `next` is what will be sent next: `match` < `next`.
 */
export class Progress {
  readonly member: MemberId;
  readonly inflight: InflightWindow;
  state: PeerProgress["state"] = "probe";
  match = 0;
  next: number;
  /** It was heard since the leader last asked whether a majority still answers. */
  active = true;
  /** A probe is on its way. */
  probing = false;
  /** An append has to be sent even if it carries nothing, to find out where the peer stands. */
  nudge = false;
  /** From here on entries were asked of the driver, for it; 0 when none were. */
  loadingFrom = 0;
  /** The latest round of reads it has confirmed this leader for. */
  readAck = 0;
  /** The commit index that it has been told; what gets lost heartbeats tell again. */
  sentCommit = 0;
  pendingSnapshot = 0;
  witness = false;

  constructor(member: MemberId, next: number, limits: RaftLimits) {
    this.member = member;
    this.next = next;
    this.inflight = new InflightWindow(limits.maxInflightAppends, limits.maxInflightBytes);
  }

  get paused(): boolean {
    if (this.loadingFrom === this.next) return true;
    if (this.state === "replicate") return this.inflight.full;
    return this.state === "probe" ? this.probing : true;
  }

  becomeProbe(next: number): void {
    assert(next > this.match, `${this.member} has ${this.match}: ${next} is no next index for it`);
    this.state = "probe";
    this.next = next;
    this.probing = false;
    this.loadingFrom = 0;
    this.nudge = true;
    this.pendingSnapshot = 0;
    this.inflight.clear();
  }

  becomeReplicate(): void {
    this.state = "replicate";
    this.next = this.match + 1;
    this.probing = false;
    this.nudge = false;
    this.loadingFrom = 0;
    this.pendingSnapshot = 0;
    this.inflight.clear();
  }

  becomeSnapshot(index: number): void {
    this.state = "snapshot";
    this.pendingSnapshot = index;
    this.probing = false;
    this.nudge = false;
    this.loadingFrom = 0;
    this.inflight.clear();
  }

  /** An append up to `lastIndex` leaves. */
  sent(lastIndex: number, bytes: number): void {
    this.nudge = false;
    if (this.state === "probe") {
      this.probing = true;
      return;
    }
    if (lastIndex < this.next) return;
    this.next = lastIndex + 1;
    this.inflight.add(lastIndex, bytes);
  }

  /** It has everything up to `index`. Whether that is news. */
  accepted(index: number): boolean {
    if (index <= this.match) return false;
    this.match = index;
    this.next = Math.max(this.next, index + 1);
    return true;
  }

  /**
   * It refused the append behind `index`; the logs may meet at `hint`. Whether that is news: a
   * refusal of what it has accepted since was overtaken on its way.
   */
  refused(index: number, hint: number): boolean {
    if (this.state === "replicate") {
      if (index <= this.match) return false;
      this.becomeProbe(this.match + 1);
      return true;
    }
    if (this.state === "snapshot" || this.next - 1 !== index) return false;
    this.becomeProbe(Math.max(Math.min(index, hint + 1), this.match + 1));
    return true;
  }

  /** It lost what it had acknowledged behind `index`, and says so. */
  lost(index: number): void {
    this.match = index;
    this.becomeProbe(index + 1);
  }

  show(): PeerProgress {
    return {
      member: this.member,
      state: this.state,
      match: this.match as LogIndex,
      next: this.next as LogIndex,
      active: this.active,
    };
  }
}
