import { unreachable } from "../lib/index.ts";
import { MAX_CONFIG_MEMBERS } from "./config-codec.ts";
import type {
  AppendRequest,
  AppendResponse,
  CommitNote,
  Configuration,
  LogEntry,
  LogIndex,
  MemberId,
  Message,
  SnapshotPoint,
  Term,
} from "./types.ts";
import { RaftWireError, WireReader, WireWriter } from "./wire.ts";

const VERSION = 1;
/** What a peer may send as one message; an append is far smaller (`maxAppendBytes`). */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
const MAX_ENTRIES = 1024 * 1024;
const HEADER_BYTES = 64;
const ENTRY_HEADER_BYTES = 16;
/** Bits of an append-response. */
const LOST = 1;
const BLANK = 2;
/** A message's number on the wire is its place here: append only. */
const TYPES: readonly Message["type"][] = [
  "append-request",
  "append-response",
  "heartbeat",
  "heartbeat-response",
  "vote-request",
  "pre-vote-request",
  "vote-response",
  "pre-vote-response",
  "install-snapshot",
  "timeout-now",
  "read-index-request",
  "read-index-response",
];

/** One message as bytes: version, type, from, to, term, and the type's own fields. */
export function encodeMessage(message: Message): Uint8Array {
  const writer = new WireWriter(sizeHint(message));
  writer.byte(VERSION);
  writer.byte(TYPES.indexOf(message.type));
  writer.number(message.from);
  writer.number(message.to);
  writer.number(message.term);
  encodeBody(writer, message);
  return writer.finish();
}

function sizeHint(message: Message): number {
  if (message.type !== "append-request") return HEADER_BYTES;
  let bytes = HEADER_BYTES;
  for (const entry of message.entries) bytes += entry.data.length + ENTRY_HEADER_BYTES;
  return bytes;
}

function encodeBody(writer: WireWriter, message: Message): void {
  switch (message.type) {
    case "append-request":
      return encodeAppendRequest(writer, message);
    case "append-response":
      return encodeAppendResponse(writer, message);
    case "heartbeat":
      writer.number(message.commit);
      writer.number(message.context);
      return writer.number(message.held);
    case "heartbeat-response":
    case "read-index-request":
      return writer.number(message.context);
    case "vote-request":
    case "pre-vote-request":
      writer.number(message.lastIndex);
      writer.number(message.lastTerm);
      writer.byte(message.transfer ? 1 : 0);
      writer.number(message.commit);
      return writer.number(message.commitTerm);
    case "vote-response":
    case "pre-vote-response":
      writer.byte(message.granted ? 1 : 0);
      writer.number(message.commit);
      return writer.number(message.commitTerm);
    case "install-snapshot":
      return encodeSnapshotPoint(writer, message.snapshot);
    case "timeout-now":
      return undefined;
    case "read-index-response":
      writer.number(message.context);
      return writer.number(message.index);
    default:
      return unreachable(message);
  }
}

function encodeAppendRequest(writer: WireWriter, message: AppendRequest): void {
  writer.number(message.previousIndex);
  writer.number(message.previousTerm);
  writer.number(message.commit);
  writer.number(message.held);
  writer.number(message.entries.length);
  let expected = message.previousIndex + 1;
  for (const entry of message.entries) {
    // Only the first entry's place travels: the others' follows from it.
    if (entry.index !== expected++) {
      throw new RaftWireError(`entry ${entry.index} stands where ${expected - 1} belongs`);
    }
    writer.number(entry.term);
    writer.byte(entry.type === "config" ? 1 : 0);
    writer.block(entry.data);
  }
}

function encodeAppendResponse(writer: WireWriter, message: AppendResponse): void {
  writer.number(message.index);
  writer.byte((message.lost === true ? LOST : 0) + (message.blank === true ? BLANK : 0));
  writer.byte(message.refused === undefined ? 0 : 1);
  if (message.refused === undefined) return;
  writer.number(message.refused.hintIndex);
  writer.number(message.refused.hintTerm);
}

function encodeSnapshotPoint(writer: WireWriter, point: SnapshotPoint): void {
  const { voters, outgoing, learners, learnersNext, witnesses } = point.configuration;
  writer.number(point.index);
  writer.number(point.term);
  for (const members of [voters, outgoing, learners, learnersNext, witnesses]) {
    writer.numbers(members);
  }
  writer.byte(point.configuration.autoLeave ? 1 : 0);
}

interface Header {
  readonly from: MemberId;
  readonly to: MemberId;
  readonly term: Term;
}

/** Reads one message. The entries' data are views into `bytes`. @throws RaftWireError */
export function decodeMessage(bytes: Uint8Array): Message {
  if (bytes.length > MAX_MESSAGE_BYTES) {
    throw new RaftWireError(`a message has at most ${MAX_MESSAGE_BYTES} bytes`);
  }
  const reader = new WireReader(bytes);
  const version = reader.byte();
  if (version !== VERSION) {
    throw new RaftWireError(`a message has version ${VERSION}, not ${version}`);
  }
  const type = TYPES[reader.choice(TYPES.length, "a message's type")];
  if (type === undefined) throw new RaftWireError("a message's type is unknown");
  const header = { from: reader.member(), to: reader.member(), term: reader.term() };
  const message = decodeBody(reader, type, header);
  reader.end();
  return message;
}

function decodeBody(reader: WireReader, type: Message["type"], header: Header): Message {
  switch (type) {
    case "append-request":
      return decodeAppendRequest(reader, header);
    case "append-response":
      return decodeAppendResponse(reader, header);
    case "heartbeat": {
      const [commit, context, held] = [reader.index(), reader.number(), reader.index()];
      return { type, ...header, commit, context, held };
    }
    case "heartbeat-response":
    case "read-index-request":
      return { type, ...header, context: reader.number() };
    case "vote-request":
    case "pre-vote-request": {
      const [lastIndex, lastTerm] = [reader.index(), reader.term()];
      const transfer = reader.flag("transfer");
      return { type, ...header, lastIndex, lastTerm, transfer, ...decodeCommitNote(reader) };
    }
    case "vote-response":
    case "pre-vote-response":
      return { type, ...header, granted: reader.flag("granted"), ...decodeCommitNote(reader) };
    case "install-snapshot":
      return { type, ...header, snapshot: decodeSnapshotPoint(reader) };
    case "timeout-now":
      return { type, ...header };
    case "read-index-response":
      return { type, ...header, context: reader.number(), index: reader.index() };
    default:
      return unreachable(type);
  }
}

function decodeCommitNote(reader: WireReader): CommitNote {
  return { commit: reader.index(), commitTerm: reader.term() };
}

function decodeAppendRequest(reader: WireReader, header: Header): AppendRequest {
  const previousIndex = reader.index();
  const previousTerm = reader.term();
  const commit = reader.index();
  const held = reader.index();
  const count = reader.count(MAX_ENTRIES, "entries");
  const entries: LogEntry[] = [];
  for (let place = 1; place <= count; place++) {
    const index = (previousIndex + place) as LogIndex;
    const term = reader.term();
    const type = reader.flag("an entry's type") ? "config" : "data";
    entries.push({ index, term, type, data: reader.block(MAX_MESSAGE_BYTES) });
  }
  if (!Number.isSafeInteger(previousIndex + count)) throw new RaftWireError("an index beyond 2^53");
  return {
    type: "append-request",
    ...header,
    previousIndex,
    previousTerm,
    entries,
    commit,
    held,
  };
}

function decodeAppendResponse(reader: WireReader, header: Header): AppendResponse {
  const index = reader.index();
  const bits = reader.choice(LOST + BLANK + 1, "the bits of an append-response");
  const flags = {
    ...((bits & LOST) === 0 ? {} : { lost: true as const }),
    ...((bits & BLANK) === 0 ? {} : { blank: true as const }),
  };
  if (!reader.flag("refused")) return { type: "append-response", ...header, index, ...flags };
  const refused = { hintIndex: reader.index(), hintTerm: reader.term() };
  return { type: "append-response", ...header, index, ...flags, refused };
}

function decodeSnapshotPoint(reader: WireReader): SnapshotPoint {
  const index = reader.index();
  const term = reader.term();
  const members = () => reader.members(MAX_CONFIG_MEMBERS);
  const [voters, outgoing, learners] = [members(), members(), members()];
  const [learnersNext, witnesses] = [members(), members()];
  const autoLeave = reader.flag("autoLeave");
  const configuration: Configuration = {
    voters,
    outgoing,
    learners,
    learnersNext,
    witnesses,
    autoLeave,
  };
  return { index, term, configuration };
}
