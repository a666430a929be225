import {
  badRequest,
  jsonDecode,
  JsonError,
  requestEntityTooLarge,
  unsupportedMediaType,
} from "../apimachinery/index.ts";
import { mediaTypeOf } from "./media-type.ts";

/** No object of the API may be larger. */
export const MAX_BODY_BYTES = 3 * 1024 * 1024;

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
  const yaml = type === "application/yaml" || type === "text/yaml";
  if (!yaml && type !== "application/json" && type !== "" && type !== "*/*") {
    throw unsupportedMediaType(
      "the body of the request was in an unknown format - accepted media types include: " +
        "application/json, application/yaml",
    );
  }
  const bytes = await readBody(request);
  return yaml ? decodeYaml(bytes, options) : decodeJsonBytes(bytes, options);
}

export function decodeJsonBytes(bytes: Uint8Array, options: BodyOptions): DecodedBody {
  try {
    return jsonDecode(bytes, { duplicates: options.duplicates, maxBytes: MAX_BODY_BYTES });
  } catch (error) {
    if (error instanceof JsonError) throw unreadable(error.message, options);
    throw error;
  }
}

export async function decodeYaml(bytes: Uint8Array, options: BodyOptions): Promise<DecodedBody> {
  // Few requests carry YAML, so that the parser is loaded by the first one.
  const { parse, YAMLError } = await import("yaml");
  try {
    const parsed: unknown = parse(new TextDecoder().decode(bytes), { uniqueKeys: false });
    // Through JSON, so that what YAML can say beyond it (dates, sets) does not get further.
    return { value: JSON.parse(JSON.stringify(parsed ?? null)), duplicates: [] };
  } catch (error) {
    if (error instanceof YAMLError || error instanceof TypeError || error instanceof RangeError) {
      throw unreadable(`error converting YAML to JSON: ${error.message}`, options);
    }
    throw error;
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
