import {
  badRequest,
  jsonDecode,
  JsonError,
  requestEntityTooLarge,
  unsupportedMediaType,
} from "../apimachinery/index.ts";
import { mediaTypeOf } from "./media-type.ts";
import { parseYaml, YamlTextError } from "./yaml-text.ts";

/** No object of the API may be larger. */
export const MAX_BODY_BYTES = 3 * 1024 * 1024;

const YAML_TYPE = "application/yaml";
/** What typed Go clients, kubectl among them, send objects as. */
const PROTOBUF_TYPE = "application/vnd.kubernetes.protobuf";
const BODY_TYPES = ["application/json", YAML_TYPE, PROTOBUF_TYPE];

/** A parsed body, and the fields that it holds twice. */
export interface DecodedBody {
  readonly value: unknown;
  readonly duplicates: readonly string[];
}

export interface BodyOptions {
  /** Looking for duplicate fields costs a second look at the text. */
  readonly duplicates: "report" | "ignore";
  /** "ConfigMap", for the message about a body that cannot be read. */
  readonly expected: string;
}

/** Reads a body whole. Throws 413 beyond {@link MAX_BODY_BYTES}, however it is sent. */
export async function readBody(request: Request): Promise<Uint8Array> {
  const announced = request.headers.get("content-length");
  if (announced !== null) {
    if (Number(announced) > MAX_BODY_BYTES) throw tooLarge();
    const bytes = new Uint8Array(await request.arrayBuffer());
    if (bytes.length > MAX_BODY_BYTES) throw tooLarge();
    return bytes;
  }
  return request.body === null ? new Uint8Array() : readStream(request.body);
}

/** Parses JSON or YAML by Content-Type. Throws 415 for other types and 400 for broken text. */
export async function decodeBody(request: Request, options: BodyOptions): Promise<DecodedBody> {
  const type = mediaTypeOf(request.headers.get("content-type"));
  if (!BODY_TYPES.includes(type) && type !== "" && type !== "*/*") {
    throw unsupportedMediaType(
      "the body of the request was in an unknown format - accepted media types include: " +
        BODY_TYPES.join(", "),
    );
  }
  return decodeBytes(await readBody(request), type, options);
}

/** Decodes a body that has been read. */
export async function decodeBytes(
  bytes: Uint8Array,
  type: string,
  options: BodyOptions,
): Promise<DecodedBody> {
  switch (type) {
    case YAML_TYPE:
      return decodeYaml(bytes, options);
    case PROTOBUF_TYPE: {
      // Only typed clients write it, so that its tables are loaded by the first one.
      const { decodeEnvelope } = await import("./protobuf/decode-envelope.ts");
      return { value: decodeEnvelope(bytes, options.expected), duplicates: [] };
    }
    default:
      return decodeJsonBytes(bytes, options);
  }
}

function decodeJsonBytes(bytes: Uint8Array, options: BodyOptions): DecodedBody {
  try {
    return jsonDecode(bytes, { duplicates: options.duplicates, maxBytes: MAX_BODY_BYTES });
  } catch (error) {
    if (error instanceof JsonError) throw unreadable(error.message, options);
    throw error;
  }
}

async function decodeYaml(bytes: Uint8Array, options: BodyOptions): Promise<DecodedBody> {
  try {
    return await parseYaml(new TextDecoder().decode(bytes));
  } catch (error) {
    if (!(error instanceof YamlTextError)) throw error;
    throw unreadable(`error converting YAML to JSON: ${error.message}`, options);
  }
}

function unreadable(why: string, { expected }: BodyOptions): Error {
  const message = `couldn't get version/kind; json parse error: ${why}`;
  return badRequest(
    `the object provided is unrecognized (must be of type ${expected}): ${message}`,
  );
}

async function readStream(body: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return Buffer.concat(chunks);
    length += value.length;
    if (length > MAX_BODY_BYTES) {
      await reader.cancel();
      throw tooLarge();
    }
    chunks.push(value);
  }
}

function tooLarge(): Error {
  return requestEntityTooLarge(`limit is ${MAX_BODY_BYTES}`);
}
