import type { ResourceDefinition } from "../api/index.ts";
import {
  badRequest,
  exactFieldValue,
  type FieldSelector,
  type KubeObject,
  matchesFields,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
} from "../apimachinery/index.ts";
import type { Selection } from "./list-page.ts";

/** What a list or watch selects beyond its namespace. */
export interface ObjectFilter {
  matches(object: Readonly<KubeObject>): boolean;
  /** The only name that can match, when the selector demands one. */
  readonly name: string | undefined;
}

const META_FIELDS = ["metadata.name", "metadata.namespace"];

/** Undefined when everything is selected. Throws 400 for a selector that makes no sense. */
export function objectFilter(
  definition: ResourceDefinition,
  selection: Selection,
): ObjectFilter | undefined {
  const labels = selection.labelSelector ?? "";
  const fields = selection.fieldSelector ?? "";
  if (labels === "" && fields === "") return undefined;
  const labelSelector = parseLabelSelector(labels);
  const fieldSelector = parseFieldSelector(fields);
  assertKnownFields(definition, fieldSelector);
  return {
    name: exactFieldValue(fieldSelector, "metadata.name"),
    matches: (object) =>
      matchesLabels(labelSelector, object.metadata.labels) &&
      (fieldSelector.length === 0 ||
        matchesFields(fieldSelector, definition.selectableFields(object))),
  };
}

function assertKnownFields(definition: ResourceDefinition, selector: FieldSelector): void {
  if (selector.length === 0) return;
  const known = Object.keys(definition.selectableFields({ metadata: {} }));
  for (const { field } of selector) {
    if (known.includes(field) || META_FIELDS.includes(field)) continue;
    const generic = known.every((name) => META_FIELDS.includes(name));
    throw badRequest(
      generic
        ? `"${field}" is not a known field selector: only "metadata.name", "metadata.namespace"`
        : `field label not supported: ${field}`,
    );
  }
}
