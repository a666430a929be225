import { z } from "zod";

/** Raised when an older process could not talk to a newer one. */
export const PROTOCOL_VERSION = 1;
/** The first line of a connection, and its answer; a snapshot's names all members. */
export const MAX_PREFACE_BYTES = 64 * 1024;

const wholeNumber = z.int().nonnegative();
const memberIds = z.array(z.int().positive()).max(1_000);

const snapshotPoint = z.object({
  index: wholeNumber,
  term: wholeNumber,
  configuration: z.object({
    voters: memberIds,
    outgoing: memberIds,
    learners: memberIds,
    learnersNext: memberIds,
    witnesses: memberIds,
    autoLeave: z.boolean(),
  }),
});

const common = { version: z.int(), cluster: z.string().max(256) };
const between = { from: z.int().positive(), to: z.int().positive() };

const prefaceSchema = z.discriminatedUnion("protocol", [
  z.object({ protocol: z.literal("messages"), ...common, ...between }),
  z.object({
    protocol: z.literal("snapshot"),
    ...common,
    ...between,
    id: z.string().min(1).max(512),
    bytes: wholeNumber,
    point: snapshotPoint,
  }),
  z.object({ protocol: z.literal("http"), ...common }),
  z.object({
    protocol: z.literal("tunnel"),
    ...common,
    ip: z.string().max(64),
    port: z.int().min(1).max(65_535),
  }),
]);

const answerSchema = z.union([
  z.object({ ok: z.literal(true), offset: wholeNumber.optional() }),
  z.object({
    ok: z.literal(false),
    reason: z.string(),
    /** Worth asking again soon. */
    temporary: z.boolean().optional(),
  }),
]);

/** The first line a dialler sends: what this connection is for. */
export type Preface = z.infer<typeof prefaceSchema>;
export type PrefaceAnswer = z.infer<typeof answerSchema>;

/** Throws on anything else. */
export function parsePreface(line: string): Preface {
  const value: unknown = JSON.parse(line);
  // Another version may have other fields: its number is what has to be told.
  const version = z.object({ version: z.int() }).safeParse(value);
  if (version.success && version.data.version !== PROTOCOL_VERSION) {
    throw new Error(
      `protocol version ${version.data.version} is not spoken here, only ${PROTOCOL_VERSION}`,
    );
  }
  const parsed = prefaceSchema.safeParse(value);
  if (!parsed.success) throw new Error("not a preface");
  return parsed.data;
}

export function parseAnswer(line: string): PrefaceAnswer {
  return answerSchema.parse(JSON.parse(line));
}

/** Reads one line; what came behind it is kept apart. */
export class LineReader {
  #held: Buffer = Buffer.alloc(0);

  /** Undefined while the line has no end. Throws when it is too long. */
  push(chunk: Buffer): { readonly line: string; readonly rest: Buffer } | undefined {
    const all = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const end = all.indexOf(0x0a);
    if (end > MAX_PREFACE_BYTES || (end === -1 && all.length > MAX_PREFACE_BYTES)) {
      throw new Error(`the first line has over ${MAX_PREFACE_BYTES} bytes`);
    }
    if (end === -1) {
      this.#held = all;
      return undefined;
    }
    return { line: all.toString("utf8", 0, end), rest: all.subarray(end + 1) };
  }
}
