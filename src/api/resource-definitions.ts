import {
  compileTypes,
  type FieldError,
  type KubeObject,
  type Schema,
} from "../apimachinery/index.ts";
import { groupVersions, typeTable } from "./group-versions.ts";
import type { GroupVersionData, ResourceData } from "./group-versions.ts";
import type { KindLogic, TableColumn } from "./kind-logic.ts";
import { validateObjectMeta, validateObjectMetaUpdate } from "./meta/v1/object-meta.ts";
import type { Cell, ResourceDefinition, Subresource } from "./resource-definition.ts";
import { DEFAULT_COLUMNS } from "./table-columns.ts";

/** The compiled schema of a type by its name in the type tables ("core.v1.Pod"). */
export const schemaOf: (typeName: string) => Schema = compileTypes(typeTable);

/** Every served resource. */
export const resourceDefinitions: readonly ResourceDefinition[] = groupVersions.flatMap(
  (groupVersion) =>
    Object.entries(groupVersion.resources).map(([resource, data]) =>
      define(groupVersion, resource, data, groupVersion.kinds[resource] ?? {}),
    ),
);

const byResource = new Map(
  resourceDefinitions.map((definition) => [
    `${definition.group}/${definition.version}/${definition.resource}`,
    definition,
  ]),
);

const byKind = new Map(
  resourceDefinitions.map((definition) => [
    `${definition.group}/${definition.version}/${definition.kind}`,
    definition,
  ]),
);

/** By plural name: findResource("apps", "v1", "deployments"). */
export function findResource(
  group: string,
  version: string,
  resource: string,
): ResourceDefinition | undefined {
  return byResource.get(`${group}/${version}/${resource}`);
}

/** By kind: findKind("apps", "v1", "Deployment"). */
export function findKind(
  group: string,
  version: string,
  kind: string,
): ResourceDefinition | undefined {
  return byKind.get(`${group}/${version}/${kind}`);
}

function define(
  { group, version, typePrefix }: GroupVersionData,
  resource: string,
  data: ResourceData,
  logic: KindLogic,
): ResourceDefinition {
  const typeName = `${typePrefix}.${data.kind}`;
  const columns: readonly TableColumn<KubeObject>[] = logic.columns ?? DEFAULT_COLUMNS;
  const metaRule = { namespaced: data.namespaced, ...nameRuleOf(logic) };
  return {
    group,
    version,
    resource,
    kind: data.kind,
    listKind: `${data.kind}List`,
    singular: data.singular,
    namespaced: data.namespaced,
    shortNames: data.shortNames,
    categories: data.categories,
    verbs: data.verbs,
    subresources: (data.subresources ?? []).map(subresourceOf),
    typeName,
    get schema() {
      return schemaOf(typeName);
    },
    storage: logic.storage ?? { group, resource },
    ...(logic.scale === undefined ? {} : { scale: logic.scale }),
    ...(logic.toStorage === undefined ? {} : { toStorage: logic.toStorage }),
    ...(logic.fromStorage === undefined ? {} : { fromStorage: logic.fromStorage }),
    defaults(object: KubeObject): void {
      logic.defaults?.(object);
    },
    validate(object: KubeObject): FieldError[] {
      const errors = validateObjectMeta(object.metadata, metaRule);
      return logic.validate === undefined ? errors : errors.concat(logic.validate(object));
    },
    validateUpdate(next: KubeObject, old: KubeObject): FieldError[] {
      return [
        ...validateObjectMetaUpdate(next.metadata, old.metadata),
        ...(logic.validate?.(next) ?? []),
        ...(logic.validateUpdate?.(next, old) ?? []),
      ];
    },
    columns: columns.map(({ name, type, format, description, priority }) => ({
      name,
      type,
      format,
      description,
      priority,
    })),
    row(object: KubeObject, now: number): Cell[] {
      return columns.map((column) => column.cell(object, now));
    },
    selectableFields(object: KubeObject): Record<string, string> {
      const fields: Record<string, string> = { "metadata.name": object.metadata.name ?? "" };
      if (data.namespaced) fields["metadata.namespace"] = object.metadata.namespace ?? "";
      return logic.selectableFields === undefined
        ? fields
        : Object.assign(fields, logic.selectableFields(object));
    },
  };
}

function nameRuleOf(logic: KindLogic): Pick<KindLogic, "nameRule"> {
  return logic.nameRule === undefined ? {} : { nameRule: logic.nameRule };
}

function subresourceOf(data: NonNullable<ResourceData["subresources"]>[number]): Subresource {
  return {
    name: data.subresource,
    kind: data.kind,
    verbs: data.verbs,
    ...(data.version === "" ? {} : { group: data.group, version: data.version }),
  };
}
