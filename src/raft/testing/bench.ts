import { configurationText, entryText, logText, messageText } from "./show.ts";
import { configurationOf, emptyDisk, index, member, term, TestMember } from "./group.ts";
import type { Disk } from "./group.ts";
import type {
  ConfigStep,
  LogEntry,
  MemberId,
  MemberRole,
  Message,
  RaftLimits,
  Ready,
} from "../types.ts";

const MAX_ROUNDS = 200;
const encoder = new TextEncoder();

/** The words of a command: `name=value` options and the others in order. */
class Words {
  readonly plain: readonly string[];
  readonly #options: ReadonlyMap<string, string>;

  constructor(words: readonly string[]) {
    this.plain = words.filter((word) => !word.includes("="));
    const options = words.filter((word) => word.includes("="));
    this.#options = new Map(options.map((word) => word.split("=", 2) as [string, string]));
  }

  at(place: number): string {
    const word = this.plain[place];
    if (word === undefined) throw new Error(`a word is missing at place ${place + 1}`);
    return word;
  }

  id(place: number): number {
    return Number(this.at(place));
  }

  text(name: string): string | undefined {
    return this.#options.get(name);
  }

  number(name: string): number | undefined {
    const value = this.text(name);
    return value === undefined ? undefined : Number(value);
  }

  numbers(name: string): number[] {
    const value = this.text(name) ?? "";
    return value === "" ? [] : value.split(",").map(Number);
  }
}

/** A little network of members that does what the lines of a transcript say. */
export class Bench {
  readonly #members = new Map<number, TestMember>();
  #network: Message[] = [];
  readonly #cut = new Set<string>();
  #limits: Partial<RaftLimits> = {};
  #lines: string[] = [];
  #lives = 0;
  /** Whether messages and what is persisted are told too. */
  #verbose = false;

  run(line: string): string {
    this.#lines = [];
    this.#verbose = false;
    const [verb = "", ...rest] = line.split(" ");
    try {
      this.#command(verb, new Words(rest), rest.join(" "));
    } catch (error) {
      this.#lines.push(`error: ${(error as Error).message}`);
    }
    return this.#lines.length === 0 ? "ok" : this.#lines.join("\n");
  }

  #command(verb: string, words: Words, text: string): void {
    if (this.#setUp(verb, words) || this.#act(verb, words, text)) return;
    if (this.#move(verb, words) || this.#show(verb, words)) return;
    throw new Error(`no command ${verb}`);
  }

  /** What exists: members, disks, connections. */
  #setUp(verb: string, words: Words): boolean {
    switch (verb) {
      case "group":
        this.#group(words);
        return true;
      case "join":
        this.#start(words.id(0), emptyDisk(configurationOf([])), words);
        return true;
      case "restart": {
        const { disk } = this.#member(words.id(0));
        const keep = words.number("keep");
        if (keep !== undefined) disk.log = disk.log.filter((entry) => entry.index <= keep);
        const applied = words.number("applied");
        if (applied !== undefined) disk.applied = { ...disk.applied, index: index(applied) };
        this.#start(words.id(0), disk, words);
        return true;
      }
      case "wipe": {
        const { configuration } = this.#member(words.id(0)).disk.applied;
        this.#start(words.id(0), emptyDisk(configuration), words);
        return true;
      }
      case "stop":
        this.#members.delete(words.id(0));
        return true;
      case "cut":
        this.#cutOff(words.at(0));
        return true;
      case "heal":
        this.#cut.clear();
        return true;
      default:
        return false;
    }
  }

  #group(words: Words): void {
    const voters = words.numbers("voters");
    const learners = words.numbers("learners");
    const configuration = configurationOf(voters, {
      learners,
      witnesses: words.numbers("witnesses"),
    });
    const limit = (name: string, key: keyof RaftLimits): Partial<RaftLimits> => {
      const value = words.number(name);
      return value === undefined ? {} : { [key]: value };
    };
    this.#limits = {
      ...limit("append-bytes", "maxAppendBytes"),
      ...limit("inflight", "maxInflightAppends"),
      ...limit("inflight-bytes", "maxInflightBytes"),
      ...limit("uncommitted", "maxUncommittedBytes"),
      ...limit("memory", "maxMemoryLogBytes"),
      ...limit("committed", "maxCommittedBytes"),
      ...limit("reads", "maxPendingReads"),
    };
    for (const id of [...voters, ...learners]) {
      const disk = emptyDisk(configuration);
      disk.log = words.numbers(`log${id}`).map(entryOf);
      const last = disk.log.at(-1)?.term ?? 0;
      const own = words.number(`term${id}`) ?? words.number("term") ?? last;
      disk.hardState = { term: term(own), vote: 0, commit: index(words.number("commit") ?? 0) };
      this.#start(id, disk, words);
    }
  }

  #start(id: number, disk: Disk, words: Words): void {
    const recoverTo = words.number("recover-to");
    // Timeouts differ by member, so that elections are told apart: 10, 11, 12 … ticks.
    // Wide draws differ by life too.
    const life = ++this.#lives;
    const draw = (below: number) => (below > 1_000 ? life : (id - 1) % below);
    const memory = words.number("memory-entries");
    const started = new TestMember({
      id,
      disk,
      draw,
      limits: this.#limits,
      ...(recoverTo === undefined ? {} : { recoverTo }),
      ...(memory === undefined ? {} : { memory }),
    });
    started.onApply = (entry) => this.#lines.push(`${id} applies ${entryText(entry)}`);
    this.#members.set(id, started);
  }

  #member(id: number): TestMember {
    const found = this.#members.get(id);
    if (found === undefined) throw new Error(`there is no member ${id}`);
    return found;
  }

  #cutOff(link: string): void {
    const [from = "", to] = link.split(">");
    if (to !== undefined) {
      this.#cut.add(link);
      return;
    }
    for (const other of this.#members.keys()) {
      this.#cut.add(`${from}>${other}`).add(`${other}>${from}`);
    }
  }

  /** What a driver asks of its core. */
  #act(verb: string, words: Words, text: string): boolean {
    switch (verb) {
      case "campaign":
        this.#member(words.id(0)).core.campaign();
        return true;
      case "tick":
        for (let count = 0; count < Number(words.plain[1] ?? 1); count++) {
          this.#member(words.id(0)).core.tick();
        }
        return true;
      case "propose": {
        const [id = "", ...data] = text.split(" ");
        const result = this.#member(Number(id)).core.propose(encoder.encode(data.join(" ")));
        const place = result.type === "accepted" ? ` ${result.index}/${result.term}` : "";
        this.#lines.push(`${result.type}${place}`);
        return true;
      }
      case "config":
        this.#config(text);
        return true;
      case "read":
        this.#member(words.id(0)).core.readIndex(words.id(1));
        return true;
      case "transfer":
        this.#member(words.id(0)).core.transferLeadership(member(words.id(1)));
        return true;
      case "compact":
        this.#member(words.id(0)).compact(words.id(1));
        return true;
      case "unreachable":
        this.#member(words.id(0)).core.reportUnreachable(member(words.id(1)));
        return true;
      case "snapshot-failed":
        this.#member(words.id(0)).core.reportSnapshot(member(words.id(1)), "failed");
        return true;
      default:
        return false;
    }
  }

  #config(text: string): void {
    const [id = "", ...rest] = text.split(" ");
    const steps = rest
      .join(" ")
      .split(";")
      .map((step) => step.trim())
      .filter((step) => step !== "")
      .map(stepOf);
    const change = { steps, context: new Uint8Array(0) };
    const result = this.#member(Number(id)).core.proposeConfig(change);
    const place = result.type === "accepted" ? ` ${result.index}/${result.term}` : "";
    const reason = result.type === "invalid" ? `: ${result.reason}` : "";
    this.#lines.push(`${result.type}${place}${reason}`);
  }

  /** What goes between cores, disks and the network. */
  #move(verb: string, words: Words): boolean {
    switch (verb) {
      case "take":
        this.#verbose = true;
        this.#take(this.#member(words.id(0)));
        return true;
      case "finish":
        this.#verbose = true;
        this.#finish(this.#member(words.id(0)));
        return true;
      case "early":
        this.#verbose = true;
        this.#send(this.#member(words.id(0)).core.early());
        return true;
      case "drive":
        this.#verbose = true;
        this.#drive(this.#member(words.id(0)));
        return true;
      case "deliver":
        this.#verbose = true;
        this.#deliver(words.plain[0]);
        return true;
      case "drop":
        this.#network = this.#network.filter((message) => !isOn(message, words.plain[0]));
        return true;
      case "duplicate":
        this.#network.push(...this.#network.filter((message) => isOn(message, words.plain[0])));
        return true;
      case "settle":
        this.#settle(words.plain.map(Number));
        return true;
      case "trace":
        this.#verbose = true;
        this.#settle(words.plain.map(Number));
        return true;
      default:
        return false;
    }
  }

  #take(target: TestMember): void {
    if (!target.core.hasReady()) {
      this.#lines.push(`${target.id} has nothing to do`);
      return;
    }
    const early = target.take();
    if (target.outstanding !== undefined) this.#tell(target.id, target.outstanding);
    this.#send(early);
  }

  #finish(target: TestMember): void {
    const configuration = target.disk.applied.configuration;
    const reads = target.reads.length;
    const messages = target.finish();
    const changed = target.disk.applied.configuration;
    if (changed !== configuration) {
      this.#lines.push(`${target.id} ${configurationText(changed)}`);
    }
    for (const read of target.reads.slice(reads)) {
      this.#lines.push(`${target.id} reads ${read.context} at ${read.index}`);
    }
    this.#send(messages);
  }

  #drive(target: TestMember): void {
    if (target.outstanding === undefined) this.#take(target);
    if (target.outstanding !== undefined) this.#finish(target);
  }

  #tell(id: MemberId, ready: Ready): void {
    const { softState, hardState, snapshot, entries } = ready;
    if (softState !== undefined) {
      const leader = softState.leader === 0 ? "nobody" : `${softState.leader}`;
      this.#lines.push(`${id} is ${softState.role}, led by ${leader}`);
    }
    if (!this.#verbose) return;
    if (hardState !== undefined) {
      const { term, vote, commit } = hardState;
      this.#lines.push(`${id} writes term=${term} vote=${vote} commit=${commit}`);
    }
    if (snapshot !== undefined) this.#lines.push(`${id} installs the state at ${snapshot.index}`);
    for (const load of ready.loads) this.#lines.push(`${id} loads from ${load.from}`);
    if (entries.length > 0) this.#lines.push(`${id} writes ${entries.map(entryText).join(" ")}`);
  }

  #send(messages: readonly Message[]): void {
    for (const message of messages) {
      const isCut = this.#cut.has(`${message.from}>${message.to}`);
      if (this.#verbose) this.#lines.push(`${messageText(message)}${isCut ? " (cut)" : ""}`);
      if (!isCut) this.#network.push(message);
    }
  }

  #deliver(link: string | undefined): void {
    const delivered = this.#network.filter((message) => isOn(message, link));
    this.#network = this.#network.filter((message) => !isOn(message, link));
    for (const message of delivered) this.#hand(message);
  }

  #hand(message: Message): void {
    const { core } = this.#members.get(message.to) ?? {};
    if (core === undefined || this.#cut.has(`${message.from}>${message.to}`)) return;
    const sender = this.#members.get(message.from);
    if (message.type !== "install-snapshot" || sender === undefined) {
      core.step(message);
      return;
    }
    // The state that arrives is the sender's of this moment.
    core.step({ ...message, snapshot: sender.disk.applied });
    sender.core.reportSnapshot(message.to, "finished");
  }

  /** These, or all, do what there is to do, and messages arrive, until nothing moves. */
  #settle(only: readonly number[]): void {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      let moved = this.#network.length > 0;
      for (const target of this.#members.values()) {
        if (only.length > 0 && !only.includes(target.id)) continue;
        if (target.outstanding === undefined && !target.core.hasReady()) continue;
        moved = true;
        this.#drive(target);
      }
      this.#deliver(undefined);
      if (!moved) return;
    }
    this.#lines.push(`still busy after ${MAX_ROUNDS} rounds`);
  }

  #show(verb: string, words: Words): boolean {
    const only = words.plain[0];
    const members = only === undefined ? [...this.#members.values()] : [this.#member(Number(only))];
    switch (verb) {
      case "status":
        for (const { core } of members) this.#status(core.status());
        return true;
      case "log":
        for (const { id, disk } of members) this.#lines.push(`${id}: ${logText(disk)}`);
        return true;
      case "progress":
        for (const peer of this.#member(words.id(0)).core.status().peers) {
          const { member, state, match, next } = peer;
          this.#lines.push(`${member} ${state} match=${match} next=${next}`);
        }
        return true;
      case "network":
        this.#lines.push(...this.#network.map(messageText));
        return true;
      case "members":
        for (const { id, core } of members) {
          this.#lines.push(`${id} ${configurationText(core.status().configuration)}`);
        }
        return true;
      default:
        return false;
    }
  }

  #status(status: ReturnType<TestMember["core"]["status"]>): void {
    const { id, term, role, leader, commit, lastIndex, held, recovering, transferee } = status;
    const known = leader === 0 ? "nobody" : `${leader}`;
    const place = `term=${term} commit=${commit} last=${lastIndex}`;
    const more = [
      held > 0 ? ` held=${held}` : "",
      recovering ? " recovering" : "",
      transferee === 0 ? "" : ` hands over to ${transferee}`,
    ].join("");
    this.#lines.push(`${id} ${role}, led by ${known}: ${place}${more}`);
  }
}

function entryOf(ofTerm: number, place: number): LogEntry {
  const data = encoder.encode(`e${place + 1}`);
  return { index: index(place + 1), term: term(ofTerm), type: "data", data };
}

function stepOf(text: string): ConfigStep {
  const [verb, id, role = "voter"] = text.split(" ");
  if (verb === "remove") return { type: "remove", member: member(Number(id)) };
  return { type: "add", member: member(Number(id)), role: role as MemberRole };
}

/** `1>2`, `1>`, `>2`, a type of message, or everything. */
function isOn(message: Message, link: string | undefined): boolean {
  if (link === undefined || link === "all") return true;
  if (!link.includes(">")) return message.type === link;
  const [from, to] = link.split(">");
  const isFrom = from === "" || Number(from) === message.from;
  return isFrom && (to === "" || Number(to) === message.to);
}
