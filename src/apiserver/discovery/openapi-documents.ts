import { describe, type ResourceDefinition, schemaOf, typeTable } from "../../api/index.ts";
import {
  buildOpenApiV2,
  buildOpenApiV3,
  type GroupVersion,
  OPENAPI_V2_PROTOBUF,
  openApiV2Protobuf,
  type OpenApiSource,
  type Schema,
} from "../../apimachinery/index.ts";
import { definitionsOf, servedGroupVersions } from "./plain-discovery.ts";

/** A document that is served as it is. */
export interface Document {
  readonly body: string | Uint8Array<ArrayBuffer>;
  /** Content-Type of the answer. */
  readonly type: string;
  /** Changes with the body. */
  readonly hash: string;
}

const JSON_TYPE = "application/json";

const TITLE = "Kubernetes";

export interface OpenApiOptions {
  readonly version: string;
  /** Lets others run: all documents together take a tenth of a second to make. */
  readonly pause: () => Promise<void>;
  readonly served: () => readonly ResourceDefinition[];
}

/** A document, and the definitions that it was made of. */
interface Made {
  readonly of: readonly ResourceDefinition[];
  readonly document: Document;
}

/** The OpenAPI documents, each made when it is first asked for after what it says has changed. */
export class OpenApiDocuments {
  readonly #options: OpenApiOptions;
  readonly #made = new Map<string, Made>();

  constructor(options: OpenApiOptions) {
    this.#options = options;
  }

  /** GET /openapi/v2 */
  v2(): Document {
    return this.#document("v2", this.#options.served(), (of) => documentOf(this.#swagger(of)));
  }

  /** The same as protobuf, the only form of it that kubectl reads. */
  v2Protobuf(): Document {
    return this.#document("v2/protobuf", this.#options.served(), (of) => {
      const body = new Uint8Array(openApiV2Protobuf(this.#swagger(of)));
      return { body, type: OPENAPI_V2_PROTOBUF, hash: hashOf(body) };
    });
  }

  #swagger(of: readonly ResourceDefinition[]): ReturnType<typeof buildOpenApiV2> {
    return buildOpenApiV2(this.#source(of));
  }

  /** GET /openapi/v3: where the documents of the group-versions are. */
  async index(): Promise<Document> {
    const paths: Record<string, { readonly serverRelativeURL: string }> = {};
    const served = this.#options.served();
    for (const groupVersion of servedGroupVersions(served)) {
      const path = pathOf(groupVersion);
      if (!this.#made.has(path)) await this.#options.pause();
      const { hash } = this.#v3(served, groupVersion);
      paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` };
    }
    this.#forget(new Set(Object.keys(paths)));
    return this.#document("index", served, () => documentOf({ paths }));
  }

  /** GET /openapi/v3/PATH, where the path is "api/v1" or "apis/apps/v1". */
  v3(path: string): Document | undefined {
    const served = this.#options.served();
    const found = servedGroupVersions(served).find((groupVersion) => pathOf(groupVersion) === path);
    return found === undefined ? undefined : this.#v3(served, found);
  }

  #v3(served: readonly ResourceDefinition[], groupVersion: GroupVersion): Document {
    return this.#document(pathOf(groupVersion), definitionsOf(served, groupVersion), (of) =>
      documentOf(buildOpenApiV3(this.#source(of))),
    );
  }

  /** Documents of groups that are gone are not kept. */
  #forget(present: ReadonlySet<string>): void {
    for (const path of this.#made.keys()) {
      if (path.startsWith("apis/") && !present.has(path)) this.#made.delete(path);
    }
  }

  #source(resources: OpenApiSource["resources"]): OpenApiSource {
    return { resources, types: typeOf, describe, title: TITLE, version: this.#options.version };
  }

  #document(
    name: string,
    of: readonly ResourceDefinition[],
    make: (of: readonly ResourceDefinition[]) => Document,
  ): Document {
    const made = this.#made.get(name);
    const isSame =
      made?.of.length === of.length &&
      of.every((definition, index) => definition === made.of[index]);
    if (made !== undefined && isSame) return made.document;
    const document = make(of);
    this.#made.set(name, { of, document });
    return document;
  }
}

/** The JSON text of a value with its hash. */
export function documentOf(value: unknown, type = JSON_TYPE): Document {
  const body = JSON.stringify(value);
  return { body, type, hash: hashOf(body) };
}

function hashOf(body: Document["body"]): string {
  return new Bun.CryptoHasher("sha256").update(body).digest("hex").toUpperCase();
}

function typeOf(typeName: string): Schema | undefined {
  return Object.hasOwn(typeTable, typeName) ? schemaOf(typeName) : undefined;
}

function pathOf({ group, version }: GroupVersion): string {
  return group === "" ? `api/${version}` : `apis/${group}/${version}`;
}
