import { assert } from "../lib/index.ts";
import type { Progress } from "./progress.ts";
import { entryBytes } from "./raft-log.ts";
import type { RaftState } from "./raft-state.ts";
import type { LogEntry, LogIndex, MemberId, Supplied, Term } from "./types.ts";

const NO_ENTRIES: readonly LogEntry[] = [];

/** Tells a peer that this member leads; a round of reads that is open asks it to confirm. */
export function sendHeartbeat(state: RaftState, peer: Progress): void {
  // Never beyond what the peer is known to have: it may not even have an entry there.
  const commit = Math.min(peer.match, state.log.commit) as LogIndex;
  state.sendEarly({
    type: "heartbeat",
    from: state.id,
    to: peer.member,
    term: state.term,
    commit,
    context: state.leaderReads.openRound,
    held: heldFor(state, peer),
  });
}

/** What a witness may drop. Only what is committed: what all have may still be replaced. */
function heldFor(state: RaftState, peer: Progress): LogIndex {
  if (!peer.witness || state.tracker === undefined) return 0 as LogIndex;
  const held = Math.min(state.tracker.heldIndex(), state.log.commit);
  state.heldTold = Math.max(state.heldTold, held);
  return held as LogIndex;
}

function needsAppend(state: RaftState, peer: Progress): boolean {
  if (peer.paused) return false;
  return peer.nudge || peer.next <= state.log.lastIndex || isCommitNews(state, peer);
}

function isCommitNews(state: RaftState, peer: Progress): boolean {
  return peer.sentCommit < Math.min(state.log.commit, peer.next - 1);
}

/** Whether anybody needs an append; asked after every call, so that nothing is allocated. */
export function hasAppends(state: RaftState): boolean {
  const { tracker } = state;
  if (tracker === undefined) return false;
  for (const peer of tracker.peers) if (needsAppend(state, peer)) return true;
  return false;
}

/** Sends to everybody what the windows take. */
export function flushAppends(state: RaftState): void {
  if (state.tracker === undefined) return;
  for (const peer of state.tracker.peers) {
    while (needsAppend(state, peer)) sendAppend(state, peer);
  }
}

function sendAppend(state: RaftState, peer: Progress): void {
  const { log, limits } = state;
  const previousTerm = log.term(peer.next - 1);
  if (previousTerm === undefined) {
    sendSnapshot(state, peer);
  } else if (peer.next > log.lastIndex) {
    sendEntries(state, peer, previousTerm, NO_ENTRIES);
  } else if (peer.next < log.firstInMemory) {
    peer.loadingFrom = peer.next;
    const from = peer.next as LogIndex;
    // Two who lag alike are answered by one load.
    if (!state.loads.some((load) => load.from === from)) {
      state.loads.push({ from, maxBytes: limits.maxAppendBytes });
    }
  } else {
    sendEntries(state, peer, previousTerm, log.slice(peer.next, limits.maxAppendBytes));
  }
}

function sendEntries(
  state: RaftState,
  peer: Progress,
  previousTerm: Term,
  entries: readonly LogEntry[],
): void {
  const previousIndex = (peer.next - 1) as LogIndex;
  const lastIndex = previousIndex + entries.length;
  let bytes = 0;
  for (const entry of entries) bytes += entryBytes(entry);
  const { commit } = state.log;
  state.sendEarly({
    type: "append-request",
    from: state.id,
    to: peer.member,
    term: state.term,
    previousIndex,
    previousTerm,
    entries,
    commit,
    held: heldFor(state, peer),
  });
  peer.sentCommit = Math.max(peer.sentCommit, Math.min(commit, lastIndex));
  peer.sent(lastIndex, bytes);
}

/** The peer needs what the log no longer has. A witness has no state to send, and waits instead. */
export function sendSnapshot(state: RaftState, peer: Progress): void {
  peer.nudge = false;
  if (state.witness || !peer.active) {
    if (peer.state === "replicate") peer.becomeProbe(peer.match + 1);
    peer.probing = true;
    peer.nudge = false;
    return;
  }
  const { log } = state;
  // Where the configuration stands; the driver puts the place of the state that it sends instead.
  const index = Math.max(log.applied, state.configIndex) as LogIndex;
  const term = log.term(index);
  assert(term !== undefined, `the term of the applied entry ${index} is known`);
  const { id: from, configuration } = state;
  const snapshot = { index, term, configuration };
  peer.becomeSnapshot(index);
  state.sendEarly({
    type: "install-snapshot",
    from,
    to: peer.member,
    term: state.term,
    snapshot,
  });
}

/** The driver read entries for those who lag. */
export function supplyEntries(state: RaftState, supplied: Supplied): void {
  if (state.tracker === undefined) return;
  const from = supplied.type === "entries" ? supplied.entries[0]?.index : supplied.from;
  for (const peer of state.tracker.peers) {
    if (peer.next !== from || peer.loadingFrom !== from) continue;
    peer.loadingFrom = 0;
    if (supplied.type === "compacted") {
      sendSnapshot(state, peer);
      continue;
    }
    const { entries } = supplied;
    const previousTerm = state.log.term(peer.next - 1);
    if (previousTerm === undefined || !matchesLog(state, entries) || peer.paused) continue;
    sendEntries(state, peer, previousTerm, entries);
  }
}

/** Entries that were read before another leader replaced them are not of this log. */
function matchesLog(state: RaftState, entries: readonly LogEntry[]): boolean {
  let expected = entries[0]?.index ?? 0;
  for (const entry of entries) {
    assert(entry.index === expected, `entry ${entry.index} is supplied for ${expected}`);
    expected++;
  }
  const last = entries.at(-1);
  return last !== undefined && state.log.term(last.index) === last.term;
}

/**
 * Commits what a majority has (section 3.6.2): only an entry of the own term is counted, because
 * one of an earlier term may be replaced although a majority has it. Those before it follow.
 */
export function advanceCommit(state: RaftState): boolean {
  const { log, tracker } = state;
  if (tracker === undefined) return false;
  const agreed = tracker.agreedIndex();
  if (agreed <= log.commit || log.term(agreed) !== state.term) return false;
  const first = Math.max(log.commit + 1, state.termStart);
  state.uncommittedBytes -= log.dataBytes(first, agreed);
  assert(state.uncommittedBytes >= 0, "what is committed was counted when it was appended");
  return log.commitTo(agreed);
}

export function handleUnreachable(state: RaftState, member: MemberId): void {
  const peer = state.tracker?.get(member);
  // What is in flight is probably lost: find out, instead of filling the window.
  if (peer?.state === "replicate") {
    peer.becomeProbe(peer.match + 1);
    peer.nudge = false;
    peer.probing = true;
  }
}

export function handleSnapshotReport(
  state: RaftState,
  member: MemberId,
  outcome: "finished" | "failed",
): void {
  const peer = state.tracker?.get(member);
  if (peer?.state !== "snapshot") return;
  const next = outcome === "finished" ? peer.pendingSnapshot + 1 : peer.match + 1;
  peer.becomeProbe(Math.max(next, peer.match + 1));
  // Its own answer says more; without one, the next heartbeat's answer starts a probe.
  peer.nudge = false;
  peer.probing = true;
}
