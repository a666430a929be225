import type {
  InstallSnapshot,
  LogEntry,
  Message,
  RaftCore,
  RaftLimits,
  RaftOptions,
  Ready,
} from "../../../src/raft/index.ts";
import { EventQueue } from "./event-queue.ts";
import { asIndex, asMember, asTerm, fingerprint, Ledger, MAX_MEMBERS } from "./ledger.ts";
import { EMPTY_CONFIGURATION } from "./member-disk.ts";
import { Network } from "./network.ts";
import { Prng } from "./prng.ts";
import { Safety } from "./safety.ts";
import { SimMember } from "./sim-member.ts";
import { createCoreStatistics } from "./core-statistics.ts";
import { Trace } from "./trace.ts";
import { check } from "./violation.ts";

export type CreateRaft = (options: RaftOptions) => RaftCore;

/** What an event is; `detail` is the life it belongs to, unless said otherwise. */
export const TICK = 1;
export const DELIVER = 2;
export const WRITTEN = 3;
export const SUPPLY = 4;
export const SNAPSHOT = 5;
/** The simulation's own; `detail` is what it put there. */
export const PLAN = 6;

/** Reads of one run. */
const MAX_READS = 2_048;

/**
 * A group of members in one process: the real cores, and a driver for each that persists, sends
 * and applies as the store's driver does, with the delays and losses of the seed.
 */
export class Group {
  readonly prng = new Prng();
  readonly queue = new EventQueue<unknown>();
  readonly network = new Network();
  readonly ledger = new Ledger();
  readonly statistics = createCoreStatistics();
  readonly trace = new Trace();
  /** By id; the first place is empty. */
  readonly members: SimMember[] = [];
  readonly #safety: Safety;
  readonly #createRaft: CreateRaft;
  readonly #readNeeds = new Int32Array(MAX_READS);
  #reads = 0;
  #sent = 0;
  limits: Partial<RaftLimits> = {};

  constructor(createRaft: CreateRaft) {
    this.#createRaft = createRaft;
    for (let id = 0; id < MAX_MEMBERS; id++) this.members.push(new SimMember(id));
    this.#safety = new Safety(this.ledger, this.members, this.statistics);
  }

  reset(seed: number): void {
    // Counted by itself, because it happens thousands of times a seed.
    this.statistics.count("message sent", this.#sent);
    this.#sent = 0;
    this.prng.reseed(seed);
    this.queue.clear();
    this.network.heal();
    this.#reads = 0;
    for (const member of this.members) member.reset();
  }

  /** Starts the process of a member on what its disk has. */
  start(member: SimMember): void {
    const { disk, id } = member;
    const { prng } = this;
    member.exists = true;
    member.forget();
    const applied = disk.appliedIndex;
    // Only what is not applied has to be in memory, and the log's end.
    const most = Math.min(applied - disk.compactedIndex, Math.max(0, disk.entries.length - 1));
    const skipped = prng.permille(500) ? 0 : prng.below(most + 1);
    const entries = disk.entries.slice(skipped);
    member.core = this.#createRaft({
      id: asMember(id),
      hardState: {
        term: asTerm(disk.term),
        vote: disk.vote === 0 ? 0 : asMember(disk.vote),
        commit: asIndex(disk.commit),
      },
      configuration: applied === 0 ? EMPTY_CONFIGURATION : this.ledger.configurationAt(applied),
      appliedIndex: asIndex(applied),
      compactedIndex: asIndex(disk.compactedIndex),
      compactedTerm: asTerm(disk.compactedTerm),
      entries,
      termAt: (index) => {
        const term = disk.termAt(index);
        return term === undefined ? undefined : asTerm(term);
      },
      ...(disk.recoverTo > 0 && { recoverTo: asIndex(disk.recoverTo) }),
      draw: (below) => prng.below(below),
      limits: this.limits,
    });
    this.queue.schedule(prng.below(member.tickSteps), TICK, id, member.life);
    this.#note(member, "starts");
    this.after(member);
  }

  /** The process dies; a write under way was done or was not. */
  crash(member: SimMember): void {
    if (member.core === undefined) return;
    const { prng, statistics } = this;
    const { disk, writing } = member;
    statistics.count("crash");
    if (writing !== undefined) {
      if (writing.snapshot === undefined && prng.permille(500)) disk.write(writing);
      else statistics.count("crash losing a write");
    }
    const most = Math.min(member.appliedIndex, disk.lastIndex);
    if (most > disk.appliedIndex) disk.appliedIndex = prng.between(disk.appliedIndex, most);
    this.#note(member, "crashes");
    member.forget();
  }

  pause(member: SimMember): void {
    member.paused = true;
    this.statistics.count("pause");
    this.#note(member, "pauses");
  }

  resume(member: SimMember): void {
    if (!member.paused) return;
    member.paused = false;
    this.#note(member, "resumes");
    // What a handler does may crash nothing, so the list is stable.
    for (const handle of member.waiting) handle();
    member.waiting.length = 0;
  }

  /** Handles the event that the queue just took. */
  handle(): void {
    const { kind, detail, subject } = this.queue;
    const member = this.members[this.queue.member] as SimMember;
    if (kind === DELIVER) {
      this.#deliver(member, subject as Message);
      return;
    }
    if (kind === SNAPSHOT) {
      this.#deliverSnapshot(member, subject as InstallSnapshot, detail);
      return;
    }
    if (detail !== member.life || member.core === undefined) return;
    if (kind === TICK) {
      this.queue.schedule(member.tickSteps, TICK, member.id, member.life);
      if (!member.paused) this.tick(member);
    } else if (kind === WRITTEN) {
      const ready = subject as Ready;
      if (member.paused) member.waiting.push(() => this.#written(member, ready));
      else this.#written(member, ready);
    } else if (kind === SUPPLY) {
      const load = subject as Ready["loads"][number];
      if (member.paused) member.waiting.push(() => this.#supply(member, load));
      else this.#supply(member, load);
    }
  }

  tick(member: SimMember): void {
    member.core?.tick();
    this.after(member);
  }

  /** Asks for a linearizable read: the answer may not be older than what is committed now. */
  read(member: SimMember): void {
    if (member.core === undefined || this.#reads + 1 >= MAX_READS) return;
    const context = ++this.#reads;
    this.#readNeeds[context] = this.ledger.committed;
    this.statistics.count("read asked");
    member.core.readIndex(context);
    this.after(member);
  }

  /** After every call into a core: look at it, and do what it wants done. */
  after(member: SimMember): void {
    const { core } = member;
    if (core === undefined) return;
    this.#safety.afterCall(member);
    while (member.writing === undefined && core.hasReady()) {
      this.#begin(member, core, core.ready());
      this.#safety.afterCall(member);
    }
    if (member.writing === undefined) return;
    const early = core.early();
    for (let at = 0; at < early.length; at++) this.#send(member, early[at] as Message);
  }

  #begin(member: SimMember, core: RaftCore, ready: Ready): void {
    const { hardState, entries, snapshot, early } = ready;
    const safety = this.#safety;
    safety.beforeWrite(member, ready);
    member.writing = ready;
    safety.afterReady(member, ready);
    this.trace.mix(member.id, core.term, hardState?.commit ?? 0);
    for (let at = 0; at < early.length; at++) this.#send(member, early[at] as Message);
    if (snapshot === undefined) this.#apply(member, core, ready);
    const { disk } = member;
    const mustSync =
      entries.length > 0 ||
      snapshot !== undefined ||
      (hardState !== undefined && (hardState.term !== disk.term || hardState.vote !== disk.vote));
    if (!mustSync) {
      this.#written(member, ready);
      return;
    }
    const delay = this.prng.below(member.diskSteps);
    if (delay === 0 && this.prng.permille(500)) this.#written(member, ready);
    else this.queue.schedule(delay, WRITTEN, member.id, member.life, ready);
  }

  #apply(member: SimMember, core: RaftCore, ready: Ready): void {
    const { committed } = ready;
    const last = committed[committed.length - 1];
    if (last !== undefined) this.#safety.reaches(member, last.index);
    for (let at = 0; at < committed.length; at++) {
      const entry = committed[at] as LogEntry;
      check(
        entry.index === member.appliedIndex + 1,
        "state machine safety",
        () => `member ${member.id} applies ${entry.index} after ${member.appliedIndex}`,
      );
      this.ledger.applies(member.id, entry, core.term);
      member.appliedIndex = entry.index;
      this.trace.mix(entry.index, entry.term, fingerprint(entry));
      if (entry.type !== "config") continue;
      member.reconfiguredAt = entry.index;
      member.lastWhenReconfigured = member.lastIndex;
      const configuration = core.applyConfig(entry);
      this.ledger.reconfigures(member.id, entry.index, configuration);
      this.statistics.count("configuration applied");
      if (!this.trace.recording) continue;
      const what = `has ${JSON.stringify(configuration)} after ${entry.index}`;
      this.trace.line(`${this.queue.step} ${member.id} ${what}`);
    }
    const { readStates } = ready;
    for (let at = 0; at < readStates.length; at++) {
      const { context, index } = readStates[at] as Ready["readStates"][number];
      const needs = this.#readNeeds[context] as number;
      check(
        index >= needs,
        "read index",
        () => `member ${member.id} may answer read ${context} at ${index}, ${needs} was committed`,
      );
      this.statistics.count("read answered");
    }
  }

  #written(member: SimMember, ready: Ready): void {
    const { core, disk } = member;
    if (core === undefined) return;
    disk.write(ready);
    member.writing = undefined;
    if (ready.snapshot !== undefined) {
      member.appliedIndex = ready.snapshot.index;
      this.statistics.count("snapshot installed");
      this.#note(member, `installed ${ready.snapshot.index}`);
      this.#apply(member, core, ready);
    }
    const { messages, loads } = ready;
    for (let at = 0; at < messages.length; at++) this.#send(member, messages[at] as Message);
    for (let at = 0; at < loads.length; at++) {
      this.queue.schedule(this.prng.below(3), SUPPLY, member.id, member.life, loads[at]);
    }
    core.advance(ready);
    if (disk.recoverTo > 0 && !core.status().recovering) disk.recoverTo = 0;
    this.after(member);
  }

  #send(member: SimMember, message: Message): void {
    const { network, prng, queue, statistics } = this;
    this.#safety.sends(member, message);
    this.#sent += 1;
    const { from, to } = message;
    if (message.type === "install-snapshot") {
      statistics.count("snapshot sent");
      this.#sendSnapshot(member, message);
      return;
    }
    if (network.loses(from, to, prng)) {
      statistics.count("message lost");
      return;
    }
    const delay = network.delay(prng);
    if (delay > 1) statistics.count("message delayed");
    queue.schedule(delay, DELIVER, to, 0, message);
    if (prng.permille(network.duplication)) {
      statistics.count("message duplicated");
      // Some copies outlive the term they are of.
      const most = prng.permille(200) ? 900 : 50;
      queue.schedule(prng.below(most), DELIVER, to, 0, message);
    }
  }

  #deliver(member: SimMember, message: Message): void {
    if (member.core === undefined) return;
    if (member.paused) {
      const { life } = member;
      member.waiting.push(() => {
        if (life === member.life) this.#deliver(member, message);
      });
      return;
    }
    this.trace.mix(message.from * 8 + message.to, message.type.length, message.term);
    if (this.trace.recording) this.#noteMessage(message);
    if ("held" in message && message.held > member.held) member.held = message.held;
    this.#safety.receives(member, message);
    member.core.step(message);
    this.after(member);
  }

  /** The driver sends the state that it has by now; copies of it may arrive much later. */
  #sendSnapshot(member: SimMember, message: InstallSnapshot): void {
    const { prng, queue } = this;
    const index = Math.max(message.snapshot.index, member.appliedIndex);
    const snapshot = {
      index: asIndex(index),
      term: asTerm(this.ledger.committedTerm(index)),
      configuration: this.ledger.configurationAt(index),
    };
    const transfer = { ...message, snapshot };
    queue.schedule(2 + prng.below(30), SNAPSHOT, message.to, member.life, transfer);
    if (prng.permille(200)) queue.schedule(prng.below(600), DELIVER, message.to, 0, transfer);
  }

  /** The state travels with the message; the sender hears how that went. */
  #deliverSnapshot(member: SimMember, message: InstallSnapshot, life: number): void {
    const sender = this.members[message.from] as SimMember;
    const lost =
      member.core === undefined ||
      member.paused ||
      this.network.loses(message.from, message.to, this.prng) ||
      this.#isWitness(sender);
    if (!lost) this.#deliver(member, message);
    const report = (): void => {
      if (sender.core === undefined || sender.life !== life) return;
      sender.core.reportSnapshot(asMember(member.id), lost ? "failed" : "finished");
      this.after(sender);
    };
    if (sender.paused) sender.waiting.push(report);
    else report();
  }

  #isWitness(member: SimMember): boolean {
    const { witnesses } = this.ledger.configurationAt(member.appliedIndex);
    return witnesses.includes(asMember(member.id));
  }

  #supply(member: SimMember, load: Ready["loads"][number]): void {
    const { core, disk } = member;
    if (core === undefined) return;
    const first = load.from - disk.compactedIndex - 1;
    if (first < 0) {
      core.supply({ type: "compacted", from: load.from });
    } else {
      let bytes = 0;
      let end = first;
      while (end < disk.entries.length && (end === first || bytes < load.maxBytes)) {
        bytes += (disk.entries[end] as LogEntry).data.length;
        end += 1;
      }
      core.supply({ type: "entries", entries: disk.entries.slice(first, end) });
    }
    this.statistics.count("entries loaded");
    this.after(member);
  }

  /** Drops the log's beginning, as far as the state on disk allows. */
  compact(member: SimMember): void {
    const { core, disk } = member;
    if (core === undefined || member.writing !== undefined) return;
    disk.appliedIndex = Math.min(member.appliedIndex, disk.lastIndex);
    const most = this.#isWitness(member)
      ? Math.min(disk.appliedIndex, member.held)
      : disk.appliedIndex;
    if (most <= disk.compactedIndex) return;
    const index = this.prng.between(disk.compactedIndex + 1, most);
    disk.compact(index);
    this.statistics.count("log compacted");
    this.#note(member, `drops the log up to ${index}`);
    core.compacted({
      index: asIndex(index),
      term: asTerm(disk.compactedTerm),
      configuration: this.ledger.configurationAt(index),
    });
    this.after(member);
  }

  #note(member: SimMember, what: string): void {
    this.trace.mix(member.id, this.queue.step, what.length);
    if (this.trace.recording) this.trace.line(`${this.queue.step} ${member.id} ${what}`);
  }

  #noteMessage(message: Message): void {
    const { type, from, to, ...rest } = message;
    const text = JSON.stringify(rest, (key, value: unknown) =>
      key === "data" || key === "from" || key === "to" ? undefined : value,
    );
    this.trace.line(`${this.queue.step} ${from}→${to} ${type} ${text}`);
  }
}
