import type { ResourceDefinition } from "../api/index.ts";
import { badRequest, type KubeObject, type ListMeta } from "../apimachinery/index.ts";

/** How much of each object goes with its row. */
export type IncludeObject = "None" | "Metadata" | "Object";

const META_V1 = "meta.k8s.io/v1";

/** Throws 400 for a value that is none of the three. */
export function includeObjectOf(query: URLSearchParams): IncludeObject {
  const text = query.get("includeObject") ?? "";
  switch (text) {
    case "":
    case "Metadata":
      return "Metadata";
    case "None":
    case "Object":
      return text;
    default:
      throw badRequest(`unrecognized includeObject value: "${text}"`);
  }
}

export interface TableOptions {
  readonly definition: ResourceDefinition;
  readonly include: IncludeObject;
  /** Milliseconds since the Unix epoch, for ages. */
  readonly now: number;
  readonly metadata: ListMeta;
  /** Later events of a watch leave the columns out. */
  readonly columns: "shown" | "left-out";
}

/** A metav1.Table: what `kubectl get` prints. */
export function tableOf(
  objects: readonly Readonly<KubeObject>[],
  options: TableOptions,
): Record<string, unknown> {
  const { definition, include, now, metadata } = options;
  return {
    kind: "Table",
    apiVersion: META_V1,
    metadata,
    columnDefinitions: options.columns === "shown" ? definition.columns : [],
    rows: objects.map((object) => ({
      cells: definition.row(object as KubeObject, now),
      ...(include === "None" ? {} : { object: include === "Object" ? object : partialOf(object) }),
    })),
  };
}

/** A metav1.PartialObjectMetadata: an object without what is special about its kind. */
export function partialOf(object: Readonly<KubeObject>): Record<string, unknown> {
  return { kind: "PartialObjectMetadata", apiVersion: META_V1, metadata: object.metadata };
}

export function partialListOf(
  objects: readonly Readonly<KubeObject>[],
  metadata: ListMeta,
): Record<string, unknown> {
  return {
    kind: "PartialObjectMetadataList",
    apiVersion: META_V1,
    metadata,
    items: objects.map(partialOf),
  };
}
