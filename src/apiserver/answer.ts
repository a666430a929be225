import type { Status, StatusError } from "../apimachinery/index.ts";
import type { Media } from "./media-type.ts";
import { yamlText } from "./yaml-text.ts";

const NO_CACHE = "no-cache, private";
const JSON_TYPE = "application/json";
const YAML_TYPE = "application/yaml";
/** Answers to people at a terminal or in a browser are indented, as Kubernetes does. */
const PRETTY_AGENTS = ["curl/", "Wget/", "Mozilla/5.0"];

export interface AnswerOptions {
  readonly status?: number;
  readonly warnings?: readonly string[];
  readonly pretty?: boolean;
}

/** Whether the client wants its JSON indented. */
export function wantsPretty(request: Request, query: URLSearchParams): boolean {
  const pretty = query.get("pretty");
  if (pretty !== null) return pretty === "true" || pretty === "1";
  const agent = request.headers.get("user-agent") ?? "";
  return PRETTY_AGENTS.some((prefix) => agent.startsWith(prefix));
}

/** An answer whose JSON is there as bytes, to be sent as it is. */
export function answerJson(
  json: { readonly body: BodyInit; readonly length: number },
  media: Media,
  { status = 200, warnings }: AnswerOptions = {},
): Response {
  const headers = answerHeaders(media, warnings);
  headers.push(["content-length", String(json.length)]);
  return new Response(json.body, { status, headers });
}

/** An answer whose JSON text is known already. */
export async function answerText(
  json: string,
  media: Media,
  options: AnswerOptions = {},
): Promise<Response> {
  const headers = answerHeaders(media, options.warnings);
  const text = await writtenAs(json, media, options);
  // A length that is known lets the answer leave in one piece.
  headers.push(["content-length", String(Buffer.byteLength(text))]);
  return new Response(text, { status: options.status ?? 200, headers });
}

function writtenAs(
  json: string,
  { format }: Media,
  { pretty = false }: AnswerOptions,
): string | Promise<string> {
  if (format === "yaml") return yamlText(JSON.parse(json));
  return pretty ? `${JSON.stringify(JSON.parse(json), null, 2)}\n` : json;
}

export function answerObject(
  value: unknown,
  media: Media,
  options: AnswerOptions = {},
): Promise<Response> {
  return answerText(JSON.stringify(value), media, options);
}

/** The answer to a refused request; errors are JSON unless YAML was asked for. */
export function answerError(
  error: StatusError,
  media: Media,
  options: AnswerOptions = {},
): Promise<Response> {
  return withRetryAfter(
    answerObject(error.status, media, { ...options, status: error.code }),
    error.status,
  );
}

export function answerHeaders(media: Media, warnings: readonly string[] = []): [string, string][] {
  const headers: [string, string][] = [
    ["content-type", media.format === "yaml" ? YAML_TYPE : JSON_TYPE],
    ["cache-control", NO_CACHE],
  ];
  for (const warning of warnings) headers.push(["warning", warningValue(warning)]);
  return headers;
}

async function withRetryAfter(answer: Promise<Response>, status: Status): Promise<Response> {
  const response = await answer;
  const seconds = status.details?.retryAfterSeconds ?? 0;
  if (seconds > 0) response.headers.set("retry-after", String(seconds));
  return response;
}

/** RFC 7234 section 5.5; control characters would break the header. */
function warningValue(text: string): string {
  const clean = text.replace(/[^ -~]/g, "?").replace(/["\\]/g, "\\$&");
  return `299 - "${clean}"`;
}
