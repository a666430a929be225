import {
  type CustomTraits,
  type apiextensionsV1,
  type ResourceDefinition,
  type ScaleMapping,
  schemaOf,
  type Subresource,
  validateObjectMeta,
  validateObjectMetaUpdate,
} from "../../api/index.ts";
import {
  applySchemaDefaults,
  checkSchema,
  type FieldError,
  FieldPath,
  isJsonObject,
  type JsonObject,
  JsonPath,
  type KubeObject,
  prune,
  type Schema,
  schemaFromOpenApi,
  SchemaValidations,
} from "../../apimachinery/index.ts";
import { cellOf, columnsOf } from "./custom-columns.ts";

type Crd = apiextensionsV1.CustomResourceDefinition;
type Version = apiextensionsV1.CustomResourceDefinitionVersion;

const VERBS = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
const SUBRESOURCE_VERBS = ["get", "patch", "update"];
const ROOT = FieldPath.root();
const METADATA = FieldPath.root("metadata");

/** The kinds that an established CustomResourceDefinition serves, one a version. */
export function customDefinitions(crd: Readonly<Crd>): ResourceDefinition[] {
  return crd.spec.versions
    .filter(({ served }) => served)
    .map((version) => new CustomDefinition(crd, version));
}

/** One served version of a custom resource, as the rest of the server knows every kind. */
class CustomDefinition implements ResourceDefinition {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly kind: string;
  readonly listKind: string;
  readonly singular: string;
  readonly namespaced: boolean;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly verbs = VERBS;
  readonly subresources: readonly Subresource[];
  readonly typeName: string;
  readonly storage: ResourceDefinition["storage"];
  readonly scale?: ScaleMapping;
  readonly custom: CustomTraits;
  readonly columns: ResourceDefinition["columns"];
  readonly fromStorage?: (object: KubeObject) => KubeObject;
  readonly #version: Version;
  readonly #paths: readonly JsonPath[];
  readonly #selectable: readonly (readonly [name: string, path: JsonPath])[];
  #compiled: Compiled | undefined;

  constructor({ metadata, spec, status }: Readonly<Crd>, version: Version) {
    const names = { ...spec.names, ...status?.acceptedNames };
    this.group = spec.group;
    this.version = version.name;
    this.resource = names.plural;
    this.kind = names.kind;
    this.listKind = names.listKind || `${names.kind}List`;
    this.singular = names.singular || names.kind.toLowerCase();
    this.namespaced = spec.scope === "Namespaced";
    this.shortNames = names.shortNames ?? [];
    this.categories = names.categories ?? [];
    this.subresources = subresourcesOf(names.kind, version);
    this.typeName = `custom/${reversed(spec.group)}.${version.name}.${names.kind}`;
    this.storage = { group: spec.group, resource: names.plural };
    const scale = scaleOf(version);
    if (scale !== undefined) this.scale = scale;
    this.#version = version;
    this.custom = traitsOf({ metadata, spec }, version);
    const columns = columnsOf(version);
    this.columns = columns.map(({ path: _path, ...column }) => column);
    this.#paths = columns.map(({ path }) => path);
    this.#selectable = (version.selectableFields ?? []).map(({ jsonPath }) => [
      jsonPath.replace(/^\./, ""),
      JsonPath.parse(jsonPath),
    ]);
    if (readsDiffer({ metadata, spec }, this.custom.openApi)) {
      this.fromStorage = (object) => {
        prune(this.schema, object);
        applySchemaDefaults(this.schema, object);
        return object;
      };
    }
  }

  get schema(): Schema {
    return this.#rules.schema;
  }

  /** Compiled at first use: a definition that nobody uses costs nothing. */
  get #rules(): Compiled {
    this.#compiled ??= compile(this.#version);
    return this.#compiled;
  }

  defaults(object: KubeObject): void {
    applySchemaDefaults(this.schema, object);
  }

  validate(object: KubeObject): FieldError[] {
    const meta = validateObjectMeta(object.metadata, { namespaced: this.namespaced });
    return [...meta, ...this.#validateFields(object, undefined)];
  }

  validateUpdate(next: KubeObject, old: KubeObject): FieldError[] {
    const meta = validateObjectMetaUpdate(next.metadata, old.metadata);
    return [...meta, ...this.#validateFields(next, old)];
  }

  row(object: KubeObject, now: number): ReturnType<ResourceDefinition["row"]> {
    return this.columns.map((column, index) => {
      return cellOf(column.type, this.#paths[index]?.find(object) ?? [], now);
    });
  }

  selectableFields(object: KubeObject): Record<string, string> {
    const fields: Record<string, string> = { "metadata.name": object.metadata.name ?? "" };
    if (this.namespaced) fields["metadata.namespace"] = object.metadata.namespace ?? "";
    for (const [name, path] of this.#selectable) {
      const [value = ""] = path.find(object);
      fields[name] = typeof value === "string" ? value : JSON.stringify(value);
    }
    return fields;
  }

  #validateFields(object: KubeObject, old: KubeObject | undefined): FieldError[] {
    const { schema, metadata, rules } = this.#rules;
    const errors = checkSchema(schema, object, ROOT);
    if (metadata !== undefined) errors.push(...checkSchema(metadata, object.metadata, METADATA));
    const standing = old === undefined ? errors : ratcheted(errors, schema, object, old);
    // Rules may rely on what the schema promises: they wait until it is kept.
    return standing.length > 0 ? standing : rules.check(object, old, ROOT);
  }
}

interface Compiled {
  readonly schema: Schema;
  /** What the version says of metadata: its name may have to match a pattern. */
  readonly metadata: Schema | undefined;
  readonly rules: SchemaValidations;
}

function compile(version: Version): Compiled {
  const openApi = openApiOf(version);
  const objectMeta = schemaOf("apis.meta.v1.ObjectMeta");
  const properties = isJsonObject(openApi["properties"]) ? openApi["properties"] : {};
  const { metadata } = properties;
  const schema = schemaFromOpenApi(openApi, { objectMeta });
  return {
    schema,
    metadata:
      isJsonObject(metadata) && metadata["properties"] !== undefined
        ? schemaFromOpenApi(metadata)
        : undefined,
    rules: new SchemaValidations(schema),
  };
}

/**
 * An object that broke the rules before may be changed elsewhere: what is wrong with a value that
 * stays as it was is not said again (KEP-4008).
 */
function ratcheted(
  errors: readonly FieldError[],
  schema: Schema,
  object: KubeObject,
  old: KubeObject,
): FieldError[] {
  if (errors.length === 0) return [];
  const before = new Set(checkSchema(schema, old, ROOT).map(identityOf));
  return errors.filter((error) => {
    if (!before.has(identityOf(error))) return true;
    const { path } = parsed(error.field);
    return path === undefined || !isSame(path.find(object), path.find(old));
  });
}

function identityOf({ type, field, detail }: FieldError): string {
  return `${type} ${field} ${detail}`;
}

function parsed(field: string): { readonly path: JsonPath | undefined } {
  try {
    return { path: JsonPath.parse(`.${field.replaceAll(/\[([^\]\d][^\]]*)\]/g, "['$1']")}`) };
  } catch {
    // A key that no path can name: then the error stands.
    return { path: undefined };
  }
}

function isSame(a: readonly unknown[], b: readonly unknown[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function openApiOf({ schema }: Version): JsonObject {
  return (schema?.openAPIV3Schema ?? { type: "object" }) as JsonObject;
}

function traitsOf({ metadata, spec }: Pick<Crd, "metadata" | "spec">, version: Version) {
  const stored = spec.versions.find(({ storage }) => storage) ?? version;
  const { deprecated, deprecationWarning } = version;
  const text = `${spec.group}/${version.name} ${spec.names.kind} is deprecated`;
  return {
    definition: metadata.name ?? "",
    storedVersion: stored.name,
    terminating: metadata.deletionTimestamp !== undefined,
    openApi: openApiOf(version),
    ...(deprecated === true ? { deprecation: deprecationWarning ?? text } : {}),
  };
}

/** What is stored was checked by the schema of its day and version, which may be another one. */
function readsDiffer({ metadata, spec }: Pick<Crd, "metadata" | "spec">, openApi: JsonObject) {
  if (spec.versions.length > 1 || (metadata.generation ?? 1) > 1) return true;
  return JSON.stringify(openApi).includes('"default":');
}

function subresourcesOf(kind: string, { subresources }: Version): Subresource[] {
  const found: Subresource[] = [];
  if (subresources?.status !== undefined) {
    found.push({ name: "status", kind, verbs: SUBRESOURCE_VERBS });
  }
  if (subresources?.scale !== undefined) {
    const scale = { kind: "Scale", group: "autoscaling", version: "v1" };
    found.push({ name: "scale", ...scale, verbs: SUBRESOURCE_VERBS });
  }
  return found;
}

function scaleOf({ subresources }: Version): ScaleMapping | undefined {
  const scale = subresources?.scale;
  if (scale === undefined) return undefined;
  const { specReplicasPath, statusReplicasPath, labelSelectorPath } = scale;
  const namesOf = (path: string): readonly string[] => JsonPath.parse(path).fieldNames ?? [];
  return {
    specReplicasPath: namesOf(specReplicasPath),
    statusReplicasPath: namesOf(statusReplicasPath),
    // A path of no names would lead to the object itself.
    selectorPath: labelSelectorPath ? namesOf(labelSelectorPath) : ["status", ""],
    selectorForm: "text",
  };
}

/** "example.com" → "com.example": how OpenAPI names types. */
function reversed(group: string): string {
  return group.split(".").reverse().join(".");
}
