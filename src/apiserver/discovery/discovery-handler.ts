import type { ResourceDefinition } from "../../api/index.ts";
import { OPENAPI_V2_PROTOBUF, OPENAPI_V2_PROTOBUF_ACCEPT } from "../../apimachinery/index.ts";
import { answerObject, wantsPretty } from "../answer.ts";
import type { Negotiator } from "../media-type.ts";
import {
  aggregatedDiscovery,
  aggregatedMediaType,
  aggregatedVersion,
} from "./aggregated-discovery.ts";
import { type Document, documentOf, OpenApiDocuments } from "./openapi-documents.ts";
import { apiGroup, apiGroupList, apiResourceList, apiVersions } from "./plain-discovery.ts";

const YEAR_SECONDS = 31_536_000;

export interface DiscoveryOptions {
  /** What is served now: the same array until that changes. */
  readonly served: () => readonly ResourceDefinition[];
  readonly version: string;
  readonly negotiator: Negotiator;
  /** Lets others run between two pieces of a longer work. */
  readonly pause: () => Promise<void>;
}

/** Answers what is served here: discovery and OpenAPI. What is made is kept until it changes. */
export class DiscoveryHandler {
  readonly #openApi: OpenApiDocuments;
  readonly #negotiator: Negotiator;
  readonly #served: DiscoveryOptions["served"];
  /** By what was served when they were made. */
  readonly #aggregated = new WeakMap<readonly ResourceDefinition[], Map<string, Document>>();

  constructor(options: DiscoveryOptions) {
    this.#openApi = new OpenApiDocuments(options);
    this.#negotiator = options.negotiator;
    this.#served = options.served;
  }

  /** Undefined for a path that is not about discovery. */
  answer(request: Request, path: string, query: URLSearchParams): Promise<Response> | undefined {
    const [root = "", first = "", second = ""] = path.slice(1).split("/");
    switch (root) {
      case "api":
      case "apis":
        return this.#groups(request, root, [first, second], query);
      case "openapi":
        if (first === "v2" && second === "") return this.#document(request, this.#swagger(request));
        if (first !== "v3") return undefined;
        if (second === "") return this.#index(request);
        return this.#versioned(request, path.slice("/openapi/v3/".length), query);
      default:
        return undefined;
    }
  }

  async #index(request: Request): Promise<Response> {
    return this.#document(request, await this.#openApi.index());
  }

  #swagger(request: Request): Document {
    const accept = request.headers.get("accept") ?? "";
    const forms = [OPENAPI_V2_PROTOBUF_ACCEPT, OPENAPI_V2_PROTOBUF];
    const isProtobuf = forms.some((form) => accept.includes(form));
    return isProtobuf ? this.#openApi.v2Protobuf() : this.#openApi.v2();
  }

  #groups(
    request: Request,
    root: "api" | "apis",
    [first, second]: [string, string],
    query: URLSearchParams,
  ): Promise<Response> | undefined {
    if (first === "") {
      const version = aggregatedVersion(request.headers.get("accept"));
      if (version !== undefined) return this.#aggregate(request, root, version);
    }
    const value = plainDocument(this.#served(), request, root, [first, second]);
    if (value === undefined) return undefined;
    // A shape such as Table is asked for objects only; discovery is what it is.
    const media = { ...this.#negotiator.negotiate(request), representation: "object" } as const;
    return answerObject(value, media, { pretty: wantsPretty(request, query) });
  }

  #aggregate(request: Request, root: "api" | "apis", version: "v2" | "v2beta1"): Promise<Response> {
    const name = `${root}/${version}`;
    const type = aggregatedMediaType(version);
    const served = this.#served();
    const made = this.#aggregated.get(served) ?? new Map<string, Document>();
    this.#aggregated.set(served, made);
    const document = made.get(name) ?? documentOf(aggregatedDiscovery(served, root, version), type);
    made.set(name, document);
    return this.#document(request, document);
  }

  #versioned(
    request: Request,
    path: string,
    query: URLSearchParams,
  ): Promise<Response> | undefined {
    const document = this.#openApi.v3(path);
    if (document === undefined) return undefined;
    const hash = query.get("hash");
    if (hash !== null && hash !== "" && hash !== document.hash) {
      const location = `/openapi/v3/${path}?hash=${document.hash}`;
      return Promise.resolve(new Response(null, { status: 301, headers: { location } }));
    }
    const cached =
      hash === document.hash ? `public, immutable, max-age=${YEAR_SECONDS}` : undefined;
    return this.#document(request, document, cached);
  }

  /** The body with its hash as ETag; 304 to whoever has it already. */
  #document(
    request: Request,
    { body, type, hash }: Document,
    cacheControl = "no-cache, private",
  ): Promise<Response> {
    const etag = `"${hash}"`;
    const headers = {
      "content-type": type,
      "cache-control": cacheControl,
      etag,
      vary: "Accept",
    };
    const known = request.headers.get("if-none-match");
    if (known === etag) return Promise.resolve(new Response(null, { status: 304, headers }));
    return Promise.resolve(new Response(body, { headers }));
  }
}

function plainDocument(
  served: readonly ResourceDefinition[],
  request: Request,
  root: "api" | "apis",
  [first, second]: readonly [string, string],
): Record<string, unknown> | undefined {
  if (root === "api") {
    if (first === "") return apiVersions(request.headers.get("host") ?? "");
    return second === "" ? apiResourceList(served, { group: "", version: first }) : undefined;
  }
  if (first === "") return apiGroupList(served);
  return second === ""
    ? apiGroup(served, first)
    : apiResourceList(served, { group: first, version: second });
}
