import { STATUS_CODES } from "node:http";

/** Where an answer goes. */
export interface AnswerWriter {
  readonly closed: boolean;
  /** The value of the Date field. */
  readonly date: string;
  /** False: what follows should wait for {@link writable}. */
  write(bytes: Uint8Array): boolean;
  /** Resolves when everything is written, or the client is gone. */
  writable(): Promise<void>;
  /** Is called when the client goes before the end of the answer. */
  onGone: (() => void) | undefined;
}

export interface AnswerFraming {
  readonly method: string;
  readonly version: 10 | 11;
  /** The connection goes on after this answer. */
  readonly keep: boolean;
}

/** Answers up to this length are sent in one go; others, and those of unknown length, in parts. */
const WHOLE_BYTES = 256 * 1024;
const PART_BYTES = 256 * 1024;
/** A record of TLS holds this. */
const JOINED_BYTES = 16 * 1024;
const LAST_CHUNK = Buffer.from("0\r\n\r\n");
const LINE_END = Buffer.from("\r\n");

/** The line and the fields of an answer; a field's name and value are what Headers let pass. */
export function headText(status: number, fields: Iterable<readonly [string, string]>): string {
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Unknown"}\r\n`;
  for (const [name, value] of fields) text += `${name}: ${value}\r\n`;
  return `${text}\r\n`;
}

export function plainAnswer(status: number, why: string): Response {
  const text = `${why}\n`;
  const headers = { "content-type": "text/plain", "content-length": String(text.length) };
  return new Response(text, { status, headers });
}

/** Whether the connection goes on; who answers may want it to end. */
export function keepsConnection(
  { headers }: Response,
  { keep }: { readonly keep: boolean },
): boolean {
  return keep && headers.get("connection") !== "close";
}

/** Resolves to false when the answer ended before its end: only a cut tells the client. */
export async function sendAnswer(
  writer: AnswerWriter,
  answer: Response,
  framing: AnswerFraming,
): Promise<boolean> {
  const { method, version } = framing;
  const keep = keepsConnection(answer, framing);
  const given = answer.headers.get("content-length");
  const bodiless = method === "HEAD" || answer.status === 204 || answer.status === 304;
  if (bodiless) {
    writer.write(Buffer.from(headOf(writer, answer, { keep, given, fields: [] }), "latin1"));
    if (method === "HEAD") await answer.body?.cancel().catch(() => undefined);
    return true;
  }
  if (given !== null && Number(given) <= WHOLE_BYTES) {
    const bytes = await answer.bytes();
    const length = String(bytes.length);
    const head = headOf(writer, answer, { keep, given: length, fields: [] });
    if (bytes.length > JOINED_BYTES) {
      // A copy of this would cost more than a write of its own.
      writer.write(Buffer.from(head, "latin1"));
      writer.write(bytes);
    } else writer.write(joined(head, bytes));
    return true;
  }
  const { body } = answer;
  if (body === null) {
    const head = headOf(writer, answer, { keep, given: "0", fields: [] });
    writer.write(Buffer.from(head, "latin1"));
    return true;
  }
  const chunked = given === null && version === 11;
  const fields = chunked ? (["transfer-encoding: chunked\r\n"] as const) : [];
  const kept = keep && (chunked || given !== null);
  writer.write(Buffer.from(headOf(writer, answer, { keep: kept, given, fields }), "latin1"));
  const sent = await sendBody(writer, body, { chunked });
  if (sent === undefined || writer.closed) return false;
  if (chunked) writer.write(LAST_CHUNK);
  return given === null || sent === Number(given) ? chunked || given !== null : false;
}

/** How many bytes there were; undefined when the body failed or the client is gone. */
async function sendBody(
  writer: AnswerWriter,
  body: ReadableStream<Uint8Array>,
  { chunked }: { readonly chunked: boolean },
): Promise<number | undefined> {
  const reader = body.getReader();
  writer.onGone = () => void reader.cancel().catch(() => undefined);
  let sent = 0;
  for (;;) {
    // One after the other is what holds the source back.
    const { done, value } = await reader.read();
    if (writer.closed) return undefined;
    if (done) {
      writer.onGone = undefined;
      return sent;
    }
    for (let from = 0; from < value.length; from += PART_BYTES) {
      const part = value.subarray(from, from + PART_BYTES);
      sent += part.length;
      if (!writer.write(chunked ? chunkOf(part) : part)) await writer.writable();
    }
  }
}

function headOf(
  writer: AnswerWriter,
  answer: Response,
  options: {
    readonly keep: boolean;
    readonly given: string | null;
    readonly fields: readonly string[];
  },
): string {
  let text = `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status] ?? "Unknown"}\r\n`;
  for (const [name, value] of answer.headers) {
    if (!OWN_FIELDS.has(name)) text += `${name}: ${value}\r\n`;
  }
  if (options.given !== null) text += `content-length: ${options.given}\r\n`;
  for (const field of options.fields) text += field;
  text += `date: ${writer.date}\r\n`;
  return options.keep ? `${text}\r\n` : `${text}connection: close\r\n\r\n`;
}

/** What says how this connection carries the answer is this server's to say. */
const OWN_FIELDS: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "date",
  "keep-alive",
  "transfer-encoding",
]);

function joined(head: string, body: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(head.length + body.length);
  bytes.write(head, 0, "latin1");
  bytes.set(body, head.length);
  return bytes;
}

function chunkOf(part: Uint8Array): Buffer {
  const size = `${part.length.toString(16)}\r\n`;
  const bytes = Buffer.allocUnsafe(size.length + part.length + LINE_END.length);
  bytes.write(size, 0, "latin1");
  bytes.set(part, size.length);
  bytes.set(LINE_END, size.length + part.length);
  return bytes;
}
