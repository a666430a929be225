import type { Mutation } from "./patched-raft.ts";

/**
 * Each breaks one rule of the algorithm, sections of Ongaro's dissertation named. Where the core's
 * own assertion stands in the way it is taken out too, so that the checkers outside have to notice.
 */
export const MUTATIONS: readonly Mutation[] = [
  {
    name: "commits an entry of an earlier term by counting (3.6.2)",
    seeds: 2,
    patches: [
      {
        file: "replication.ts",
        find: "if (agreed <= log.commit || log.term(agreed) !== state.term) return false;",
        replace: "if (agreed <= log.commit) return false;",
      },
      {
        file: "replication.ts",
        find: "state.uncommittedBytes -= log.dataBytes(first, agreed);",
        replace: "if (first <= agreed) state.uncommittedBytes -= log.dataBytes(first, agreed);",
      },
    ],
  },
  {
    name: "votes twice in a term (3.4)",
    seeds: 10,
    patches: [
      {
        file: "election.ts",
        find: "(state.vote === 0 && state.leader === 0) ||",
        replace: "state.leader === 0 ||",
      },
    ],
  },
  {
    name: "forgets its vote at a restart (3.8)",
    seeds: 1,
    patches: [
      {
        file: "raft-state.ts",
        find: "this.vote = options.hardState.vote;",
        replace: "this.vote = 0;",
      },
    ],
  },
  {
    name: "acknowledges entries before they are durable (3.8)",
    seeds: 1,
    patches: [
      {
        file: "follower.ts",
        find: 'state.send({ type: "append-response", from: state.id, to, term: state.term, index });',
        replace:
          'state.sendEarly({ type: "append-response", from: state.id, to, term: state.term, index });',
      },
    ],
  },
  {
    name: "counts its own entries before they are durable (10.2.1)",
    seeds: 1,
    patches: [
      {
        file: "roles.ts",
        find: "tracker.self.match = state.log.stable;",
        replace: "tracker.self.match = 1e9;",
      },
    ],
  },
  {
    name: "votes for a log that is behind its own (3.6.1)",
    seeds: 18,
    patches: [
      {
        file: "raft-log.ts",
        find: "return term > this.lastTerm || (term === this.lastTerm && index >= this.lastIndex);",
        replace: "return term >= 0 && index >= 0;",
      },
    ],
  },
  {
    name: "compares only the length of logs, not their last terms (3.6.1)",
    seeds: 140,
    patches: [
      {
        file: "raft-log.ts",
        find: "return term > this.lastTerm || (term === this.lastTerm && index >= this.lastIndex);",
        replace: "return term >= 0 && index >= this.lastIndex;",
      },
    ],
  },
  {
    name: "takes appends of a past term (3.5)",
    seeds: 11488,
    patches: [
      {
        file: "raft.ts",
        find: "if (message.term < state.term) answerPast(state, message);",
        replace:
          'if (message.term < state.term && message.type === "append-request" && ' +
          'state.role === "follower") handleAppendRequest(state, message);\n' +
          "    else if (message.term < state.term) answerPast(state, message);",
      },
      {
        file: "follower.ts",
        find: "state.leader === 0 || state.leader === leader,",
        replace: "leader > 0,",
      },
    ],
  },
  {
    name: "takes appends without comparing the term before them (3.5)",
    seeds: 41,
    patches: [
      {
        file: "follower.ts",
        find: "if (isBlank || log.term(previousIndex) !== previousTerm) {",
        replace: "if (isBlank || previousIndex > log.lastIndex || previousTerm < 0) {",
      },
    ],
  },
  {
    name: "truncates its log at every append, committed entries too (3.5)",
    seeds: 1,
    patches: [
      {
        file: "raft-log.ts",
        find: "if (this.term(entry.index) === entry.term || entry.index <= this.compactedIndex) continue;",
        replace: "if (entry.index <= this.commit) continue;",
      },
    ],
  },
  {
    name: "commits by heartbeats what the member may not have (3.5)",
    seeds: 3,
    patches: [
      {
        file: "replication.ts",
        find: "const commit = Math.min(peer.match, state.log.commit) as LogIndex;",
        replace: "const { commit } = state.log;",
      },
      {
        file: "follower.ts",
        find: "if (commit > log.lastIndex) {",
        replace: "if (commit > log.lastIndex && state.recovering) {",
      },
      {
        file: "follower.ts",
        find: "log.commitTo(commit);\n  hearHeld",
        replace: "log.commitTo(Math.min(commit, log.lastIndex));\n  hearHeld",
      },
    ],
  },
  {
    name: "answers reads without asking a majority (6.4)",
    seeds: 67,
    patches: [
      {
        file: "read-index.ts",
        find: "else if (tracker.alone) answerRead(state, read);",
        replace: "else if (tracker.self.member > 0) answerRead(state, read);",
      },
    ],
  },
  {
    name: "answers reads before an entry of its term is committed (6.4)",
    seeds: 862,
    patches: [
      {
        file: "read-index.ts",
        find: "if (!state.committedInTerm) reads.early.push(read);",
        replace: "if (reads.count < 0) reads.early.push(read);",
      },
    ],
  },
  {
    name: "confirms a read by an answer to an earlier round (6.4)",
    seeds: 899,
    patches: [
      {
        file: "read-queue.ts",
        find: "if (open.round > round) break;",
        replace: "if (round === 0) break;",
      },
      {
        file: "leader.ts",
        find: "if (message.context <= peer.readAck) return;",
        replace: "if (message.context > peer.readAck + 1e9) return;",
      },
    ],
  },
  {
    name: "elects with one of the two majorities of a joint configuration (4.3)",
    seeds: 1,
    patches: [
      {
        file: "quorum.ts",
        find: 'return first === "won" && second === "won" ? "won" : "pending";',
        replace: 'return first === "won" || second === "won" ? "won" : "pending";',
      },
    ],
  },
  {
    name: "commits with the new majority of a joint configuration alone (4.3)",
    seeds: 16,
    patches: [
      {
        file: "tracker.ts",
        find: "return Math.min(this.#majorityMatch(this.#voters), this.#majorityMatch(this.#outgoing));",
        replace: "return this.#majorityMatch(this.#voters);",
      },
    ],
  },
  {
    name: "counts the votes of members that were removed (4.2)",
    seeds: 16,
    patches: [
      {
        file: "quorum.ts",
        find: "for (const voter of voters) {\n    const vote = votes.get(voter);",
        replace:
          "for (const voter of new Set([...voters, ...votes.keys()])) {\n    const vote = votes.get(voter);",
      },
    ],
  },
  {
    name: "counts learners (4.2.1)",
    seeds: 2,
    patches: [
      {
        file: "tracker.ts",
        find: "this.#voters = voters.map(of);",
        replace: "this.#voters = [...voters, ...learners].map(of);",
      },
    ],
  },
  {
    name: "changes the members while a change is under way (4.1)",
    seeds: 118,
    patches: [
      {
        file: "membership.ts",
        find: "return state.committedInTerm && state.log.unappliedConfig === 0;",
        replace: "return state.log.unappliedConfig >= 0;",
      },
    ],
  },
  {
    name: "takes over a snapshot that is older than its state (5)",
    seeds: 10,
    patches: [
      {
        file: "follower.ts",
        find: "if (index <= log.commit) {\n    respond(state, message.from, log.commit);\n    return;\n  }",
        replace: "",
      },
      {
        file: "raft-log.ts",
        find: "assert(point.index > this.commit, `a snapshot at ${point.index} is older than the log`);",
        replace: "",
      },
    ],
  },
  {
    name: "campaigns without asking first (9.6)",
    seeds: 1,
    patches: [
      {
        file: "election.ts",
        find: "else startPreVote(state);",
        replace: 'else startElection(state, "timeout");',
      },
    ],
  },
  {
    name: "counts although its log is damaged",
    seeds: 30,
    patches: [
      {
        file: "raft-state.ts",
        find: "return this.recoverTo > 0;",
        replace: "return this.recoverTo < 0;",
      },
    ],
  },
  {
    name: "votes for whoever has what is left of its damaged log",
    seeds: 1615,
    patches: [
      {
        file: "raft-state.ts",
        find: "return log.isUpToDate(index, term) && hasWhatWasLost;",
        replace: "return log.isUpToDate(index, term);",
      },
    ],
  },
];
