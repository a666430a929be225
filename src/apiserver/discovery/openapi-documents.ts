import { describe, resourceDefinitions, schemaOf, typeTable } from "../../api/index.ts";
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

/** The OpenAPI documents, each made when it is first asked for. */
export class OpenApiDocuments {
  readonly #version: string;
  readonly #pause: () => Promise<void>;
  readonly #made = new Map<string, Document>();

  /** @param pause lets others run: all documents together take a tenth of a second to make */
  constructor(version: string, pause: () => Promise<void>) {
    this.#version = version;
    this.#pause = pause;
  }

  /** GET /openapi/v2 */
  v2(): Document {
    return this.#document("v2", () => this.#swagger());
  }

  /** The same as protobuf, the only form of it that kubectl reads. */
  v2Protobuf(): Document {
    let document = this.#made.get("v2/protobuf");
    if (document === undefined) {
      const body = new Uint8Array(openApiV2Protobuf(this.#swagger()));
      document = { body, type: OPENAPI_V2_PROTOBUF, hash: hashOf(body) };
      this.#made.set("v2/protobuf", document);
    }
    return document;
  }

  #swagger(): ReturnType<typeof buildOpenApiV2> {
    return buildOpenApiV2(this.#source(resourceDefinitions));
  }

  /** GET /openapi/v3: where the documents of the group-versions are. */
  async index(): Promise<Document> {
    const paths: Record<string, { readonly serverRelativeURL: string }> = {};
    for (const groupVersion of servedGroupVersions()) {
      const path = pathOf(groupVersion);
      if (!this.#made.has(path)) await this.#pause();
      const { hash } = this.#v3(groupVersion);
      paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` };
    }
    return this.#document("index", () => ({ paths }));
  }

  /** GET /openapi/v3/PATH, where the path is "api/v1" or "apis/apps/v1". */
  v3(path: string): Document | undefined {
    const served = servedGroupVersions().find((groupVersion) => pathOf(groupVersion) === path);
    return served === undefined ? undefined : this.#v3(served);
  }

  #v3(groupVersion: GroupVersion): Document {
    return this.#document(pathOf(groupVersion), () =>
      buildOpenApiV3(this.#source(definitionsOf(groupVersion))),
    );
  }

  #source(resources: OpenApiSource["resources"]): OpenApiSource {
    return { resources, types: typeOf, describe, title: TITLE, version: this.#version };
  }

  #document(name: string, make: () => unknown): Document {
    let document = this.#made.get(name);
    if (document === undefined) {
      document = documentOf(make());
      this.#made.set(name, document);
    }
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
