import { unreachable } from "../lib/index.ts";
import { ByteReader, ByteWriter, DecodeError } from "./byte-codec.ts";
import type { Command } from "./command.ts";
import type { LeaseId, Revision } from "./model.ts";

/** First byte of an entry: how the rest is written. */
const FORMAT = 1;

/** Of a command besides its key and value: the tag and four numbers of at most 8 bytes. */
const OVERHEAD_BYTES = 33;
/** A UTF-16 code unit takes at most three bytes in UTF-8. */
const BYTES_PER_CODE_UNIT = 3;

/** Never reused: entries live as long as the log and its archives. */
const TAGS = {
  create: 1,
  update: 2,
  delete: 3,
  compact: 4,
  "grant-lease": 5,
  "revoke-lease": 6,
  "feature-level": 7,
} as const satisfies Record<Command["type"], number>;

/** At most so many bytes does the command take in an entry. */
export function commandMaxBytes(command: Command): number {
  const key = "key" in command ? command.key.length * BYTES_PER_CODE_UNIT : 0;
  const value = "value" in command ? command.value.length : 0;
  return OVERHEAD_BYTES + key + value;
}

/** One log entry's data: commands that are applied together, in this order. */
export function encodeCommands(commands: readonly Command[]): Uint8Array {
  let maxBytes = 1 + OVERHEAD_BYTES;
  for (const command of commands) maxBytes += commandMaxBytes(command);
  const writer = new ByteWriter(maxBytes);
  writer.byte(FORMAT);
  writer.varint(commands.length);
  for (const command of commands) encodeCommand(writer, command);
  return writer.finish();
}

/** @throws DecodeError naming what the entry holds instead. */
export function decodeCommands(data: Uint8Array): Command[] {
  const reader = new ByteReader(data);
  const format = reader.byte();
  if (format !== FORMAT) {
    throw new DecodeError(`has format ${format}, this version reads ${FORMAT}`);
  }
  const count = reader.varint();
  const commands: Command[] = [];
  for (let index = 0; index < count; index++) commands.push(decodeCommand(reader));
  reader.end();
  return commands;
}

function encodeCommand(writer: ByteWriter, command: Command): void {
  writer.byte(TAGS[command.type]);
  switch (command.type) {
    case "create":
      writer.text(command.key);
      writer.varint(command.lease ?? 0);
      return writer.bytes(command.value);
    case "update":
      writer.text(command.key);
      writer.varint(command.expected);
      writer.varint(command.lease ?? 0);
      return writer.bytes(command.value);
    case "delete":
      writer.text(command.key);
      return writer.varint(command.expected);
    case "compact":
      return writer.varint(command.revision);
    case "grant-lease":
      return writer.varint(command.ttlMs);
    case "revoke-lease":
      return writer.varint(command.lease);
    case "feature-level":
      return writer.varint(command.level);
    default:
      return unreachable(command);
  }
}

function decodeCommand(reader: ByteReader): Command {
  const tag = reader.byte();
  switch (tag) {
    case TAGS.create: {
      const key = reader.text();
      return { type: "create", key, ...decodeLease(reader), value: reader.bytes() };
    }
    case TAGS.update: {
      const key = reader.text();
      const expected = reader.varint() as Revision;
      return { type: "update", key, expected, ...decodeLease(reader), value: reader.bytes() };
    }
    case TAGS.delete: {
      const key = reader.text();
      return { type: "delete", key, expected: reader.varint() as Revision };
    }
    case TAGS.compact:
      return { type: "compact", revision: reader.varint() as Revision };
    case TAGS["grant-lease"]:
      return { type: "grant-lease", ttlMs: reader.varint() };
    case TAGS["revoke-lease"]:
      return { type: "revoke-lease", lease: reader.varint() as LeaseId };
    case TAGS["feature-level"]:
      return { type: "feature-level", level: reader.varint() };
    default:
      throw new DecodeError(`holds command ${tag}, which this version does not know`);
  }
}

function decodeLease(reader: ByteReader): { lease?: LeaseId } {
  const lease = reader.varint();
  return lease === 0 ? {} : { lease: lease as LeaseId };
}
