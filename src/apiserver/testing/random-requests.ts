import { type ResourceDefinition, resourceDefinitions } from "../../api/index.ts";
import { apiVersionOf, cloneJson, isJsonObject, type Schema } from "../../apimachinery/index.ts";
import { type Random, randomInteger, unreachable } from "../../lib/index.ts";
import { sampleOf } from "./kind-samples.ts";

/** One request, as it goes to `app.request`. */
export interface RandomRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | undefined;
}

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"];
const NAMES = ["a", "sample", "UPPER", "a..b", "%2e%2e", "a%2Fb", "é", "x".repeat(300), "-", "%00"];
const NAMESPACES = [
  "default",
  "default",
  "default",
  "default",
  "default",
  "default",
  "nope",
  "N_O",
  "%20",
];
const SUBRESOURCES = ["status", "scale", "finalize", "eviction", "binding", "log", "nonsense", "%"];
const PATCH_TYPES = ["json-patch", "merge-patch", "strategic-merge-patch"].map(
  (type) => `application/${type}+json`,
);
const TYPES = [
  "application/json",
  "application/yaml",
  "application/vnd.kubernetes.protobuf",
  "text/plain",
  "application/json; charset=",
  "",
  "/;=",
];
const ACCEPTS = [
  "application/json",
  "application/yaml",
  "application/json;as=Table;v=v1;g=meta.k8s.io",
  "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
  "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
  "application/json;as=Nonsense;v=v9",
  "*/*;q=0.1",
  ";;;=,",
  "image/png",
];
const PARAMETERS = [
  "dryRun=All",
  "dryRun=",
  "fieldValidation=Strict",
  "fieldValidation=Ignore",
  "fieldValidation=x",
  "fieldManager=me",
  "fieldManager=%00",
  "force=true",
  "limit=1",
  "limit=-9999999999999999999",
  "continue=%7B%22",
  "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJhIn0",
  "resourceVersion=0",
  "resourceVersion=1",
  "resourceVersion=x",
  "resourceVersion=-1",
  "resourceVersionMatch=Exact",
  "resourceVersionMatch=NotOlderThan",
  "resourceVersionMatch=x",
  "labelSelector=a%3Db",
  "labelSelector=a+in+%28%2C%29%2C%21%21",
  "fieldSelector=metadata.name%3Da",
  "fieldSelector=%3D%3D%3D",
  "watch=1",
  "sendInitialEvents=true",
  "allowWatchBookmarks=true",
  "timeoutSeconds=1",
  "timeoutSeconds=x",
  "gracePeriodSeconds=0",
  "gracePeriodSeconds=x",
  "propagationPolicy=Foreground",
  "propagationPolicy=x",
  "orphanDependents=true",
  "includeObject=Object",
  "includeObject=x",
  "pretty=true",
  "tailLines=-1",
  "ports=x",
];
const STRANGE: readonly unknown[] = [
  null,
  true,
  -1,
  1e308,
  1.5,
  2 ** 53,
  "",
  "x",
  "\u0000\ud800",
  "9".repeat(400),
  "2026-13-01T00:00:00Z",
  "1e999999999",
  "((((a+)+)+)+)$",
  [],
  [null],
  {},
  { "": {} },
  { constructor: 1, toString: "x" },
  [[[[]]]],
];

/** Makes requests that are mostly wrong in some way, and sometimes right; alike for one seed. */
export class RandomRequests {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  next(): RandomRequest {
    const definition = this.#one(resourceDefinitions);
    const method = this.#one(this.#chance(0.9) ? METHODS.slice(0, 5) : METHODS);
    const headers: Record<string, string> = {};
    if (this.#chance(0.15)) headers["accept"] = this.#one(ACCEPTS);
    const type = this.#contentType(method);
    if (type !== "") headers["content-type"] = type;
    const path = this.#path(definition, method) + this.#query(method);
    const body = method === "GET" || method === "HEAD" ? undefined : this.#body(definition, type);
    return { method, path, headers, body };
  }

  #contentType(method: string): string {
    if (this.#chance(0.06)) return this.#one(TYPES);
    if (method !== "PATCH") return "application/json";
    return this.#chance(0.3) ? "application/apply-patch+yaml" : this.#one(PATCH_TYPES);
  }

  #path({ group, version, resource, namespaced }: ResourceDefinition, method: string): string {
    const root = group === "" ? `/api/${version}` : `/apis/${group}/${version}`;
    const inNamespace = this.#chance(0.95) === namespaced;
    const scope = inNamespace ? `/namespaces/${this.#one(NAMESPACES)}` : "";
    const collection = `${root}${scope}/${resource}`;
    const needsName = method === "PUT" || method === "PATCH" || method === "DELETE";
    const isCollection = { GET: 0.4, POST: 0.85 }[method] ?? (needsName ? 0.03 : 0.5);
    if (this.#chance(isCollection)) return collection;
    const name = this.#chance(0.85) ? this.#one(["a", "sample"]) : this.#one(NAMES);
    if (this.#chance(0.8)) return `${collection}/${name}`;
    const rest = this.#chance(0.1) ? "/x/../y" : "";
    return `${collection}/${name}/${this.#one(SUBRESOURCES)}${rest}`;
  }

  #query(method: string): string {
    const parameters = method === "PATCH" ? ["fieldManager=me"] : [];
    while (this.#chance(0.25)) parameters.push(this.#one(PARAMETERS));
    return parameters.length === 0 ? "" : `?${parameters.join("&")}`;
  }

  #body(definition: ResourceDefinition, type: string): string | Uint8Array {
    if (this.#chance(0.03)) return this.#bytes();
    if (this.#chance(0.02)) return "[".repeat(5000);
    if (this.#chance(0.02)) return `{"metadata":${'{"a":'.repeat(500)}1${"}".repeat(501)}`;
    const value = type.includes("json-patch") ? this.#operations() : this.#object(definition);
    const text = JSON.stringify(value);
    return this.#chance(0.05) ? text.slice(0, randomInteger(this.#random, text.length)) : text;
  }

  #object(definition: ResourceDefinition): unknown {
    const name = this.#chance(0.8) ? this.#one(["a", "sample"]) : this.#one(NAMES);
    const whole = { kind: definition.kind, apiVersion: apiVersionOf(definition) };
    const metadata: Record<string, unknown> = { name };
    const object: Record<string, unknown> = { ...whole, metadata, ...sampleOf(definition) };
    const copy = cloneJson(object);
    if (this.#chance(0.35)) this.#graft(copy, definition.schema);
    const changes = this.#chance(0.45) ? 0 : 1 + randomInteger(this.#random, 3);
    for (let change = 0; change < changes; change++) this.#mutate(copy);
    return this.#chance(0.02) ? this.#one(STRANGE) : copy;
  }

  /** Puts something into a field that the sample leaves out. */
  #graft(object: Record<string, unknown>, schema: Schema): void {
    if (schema.kind !== "object") return;
    const field = this.#one([...schema.fields.values()]);
    if (isJsonObject(object[field.name]) && this.#chance(0.8)) {
      this.#graft(object[field.name] as Record<string, unknown>, field.schema);
    } else object[field.name] = this.#value(field.schema, 4);
  }

  #value(schema: Schema, depth: number): unknown {
    if (depth === 0 || this.#chance(0.1)) return this.#one(STRANGE);
    switch (schema.kind) {
      case "object": {
        const fields = [...schema.fields.values()].filter(() => this.#chance(0.4));
        return Object.fromEntries(
          fields.map(({ name, schema: below }) => [name, this.#value(below, depth - 1)]),
        );
      }
      case "map":
        return { key: this.#value(schema.values, depth - 1) };
      case "list":
        return [this.#value(schema.items, depth - 1), this.#value(schema.items, depth - 1)];
      case "boolean":
        return this.#chance(0.5);
      case "int32":
      case "int64":
      case "number":
        return this.#one([0, 1, 80, -1, 65_536, 2 ** 31]);
      case "time":
      case "micro-time":
        return "2026-01-01T00:00:00Z";
      case "string":
      case "byte":
      case "quantity":
      case "int-or-string":
      case "any":
        return this.#one(["a", "", "app", "1", "100m", "10%", "TCP", "127.0.0.1", "A_B"]);
      default:
        return unreachable(schema);
    }
  }

  /** Changes one value somewhere below. */
  #mutate(node: unknown): void {
    if (!isJsonObject(node) && !Array.isArray(node)) return;
    const holder = node as Record<string, unknown>;
    const keys = Object.keys(holder);
    if (keys.length === 0 || this.#chance(0.1)) {
      if (!Array.isArray(node)) holder[this.#one(["x", "__proto__", "f:a", ""])] = this.#strange();
      return;
    }
    const key = this.#one(keys);
    const below = holder[key];
    const canDescend = typeof below === "object" && below !== null && this.#chance(0.75);
    if (canDescend) this.#mutate(below);
    else holder[key] = this.#strange();
  }

  #operations(): unknown {
    const paths = [
      "",
      "/",
      "/metadata/labels",
      "/spec/replicas",
      "/metadata/name",
      "/a~2",
      "/spec/-",
    ];
    const operation = (): unknown => ({
      op: this.#one(["add", "remove", "replace", "move", "copy", "test", "x"]),
      path: this.#one(paths),
      from: this.#one(paths),
      value: this.#strange(),
    });
    return this.#chance(0.1) ? this.#strange() : [operation(), operation()];
  }

  #strange(): unknown {
    return cloneJson(this.#one(STRANGE));
  }

  #bytes(): Uint8Array {
    const length = randomInteger(this.#random, 64);
    return Uint8Array.from({ length }, () => randomInteger(this.#random, 256));
  }

  #chance(probability: number): boolean {
    return randomInteger(this.#random, 1000) < probability * 1000;
  }

  #one<T>(values: readonly T[]): T {
    return values[randomInteger(this.#random, values.length)] as T;
  }
}
