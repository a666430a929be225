import { notAcceptable } from "../apimachinery/index.ts";

/** Other shapes than the object itself in which an answer can be asked for. */
export type Representation = "object" | "table" | "partial";

/** How an answer is to be written. */
export interface Media {
  readonly format: "json" | "yaml";
  readonly representation: Representation;
}

/** One acceptable type of an Accept header, its parameters read. */
export interface AcceptClause {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

export const JSON_MEDIA: Media = { format: "json", representation: "object" };
const ACCEPTED = "application/json, application/yaml";
const MAX_CLAUSES = 32;
/** Clients use a handful of Accept headers; the memory of them is bounded all the same. */
const MAX_REMEMBERED = 256;

/** Chooses the shape of answers by Accept headers, and remembers the headers it has seen. */
export class Negotiator {
  readonly #seen = new Map<string, Media>();

  /** Throws 406 when the client takes nothing that this server writes. */
  negotiate(request: Request): Media {
    const accept = request.headers.get("accept");
    if (accept === null || accept === "" || accept === "*/*") return JSON_MEDIA;
    const seen = this.#seen.get(accept);
    if (seen !== undefined) return seen;
    const media = chooseMedia(parseAccept(accept));
    if (this.#seen.size >= MAX_REMEMBERED) this.#seen.clear();
    this.#seen.set(accept, media);
    return media;
  }
}

/** The clauses of an Accept header, by descending preference. */
export function parseAccept(accept: string): AcceptClause[] {
  const clauses = accept.split(",").slice(0, MAX_CLAUSES).map(parseClause);
  return clauses
    .map((clause) => ({ clause, quality: Number(clause.parameters.get("q") ?? "1") || 0 }))
    .filter(({ quality }) => quality > 0)
    .sort((left, right) => right.quality - left.quality)
    .map(({ clause }) => clause);
}

function parseClause(text: string): AcceptClause {
  const [type = "", ...parameters] = text.split(";").map((part) => part.trim());
  const pairs = parameters.map((parameter): [string, string] => {
    const [key = "", value = ""] = parameter.split("=");
    return [key.trim().toLowerCase(), value.trim()];
  });
  return { type: type.toLowerCase(), parameters: new Map(pairs) };
}

function chooseMedia(clauses: readonly AcceptClause[]): Media {
  for (const clause of clauses) {
    const format = formatOf(clause.type);
    const representation = representationOf(clause.parameters);
    if (format !== undefined && representation !== undefined) return { format, representation };
  }
  throw notAcceptable(`only the following media types are accepted: ${ACCEPTED}`);
}

function formatOf(type: string): Media["format"] | undefined {
  switch (type) {
    case "application/json":
    case "application/*":
    case "*/*":
      return "json";
    case "application/yaml":
      return "yaml";
    default:
      return undefined;
  }
}

/** Undefined for a shape that this server does not make: the next clause is tried. */
function representationOf(parameters: ReadonlyMap<string, string>): Representation | undefined {
  const shape = parameters.get("as");
  if (shape === undefined) return "object";
  const version = parameters.get("v");
  if (parameters.get("g") !== "meta.k8s.io" || (version !== "v1" && version !== "v1beta1")) {
    return undefined;
  }
  switch (shape) {
    case "Table":
      return "table";
    case "PartialObjectMetadata":
    case "PartialObjectMetadataList":
      return "partial";
    default:
      return undefined;
  }
}

/** The media type of a header such as "application/json; charset=utf-8". */
export function mediaTypeOf(contentType: string | null): string {
  const type = contentType ?? "";
  const semicolon = type.indexOf(";");
  return (semicolon < 0 ? type : type.slice(0, semicolon)).trim().toLowerCase();
}
