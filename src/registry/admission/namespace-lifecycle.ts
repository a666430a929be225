import { NAMESPACES, type ResourceDefinition } from "../../api/index.ts";
import { forbidden, type KubeObject, notFound } from "../../apimachinery/index.ts";
import type { Lookup } from "../lookup.ts";
import type { AdmissionPlugin } from "./admission-plugin.ts";

/** Objects are created in namespaces that exist and stay. */
export const namespaceLifecycle: AdmissionPlugin = {
  name: "NamespaceLifecycle",
  complete: ({ definition, object, lookup }) => {
    if (definition.namespaced) assertNamespaceOpen(definition, object, lookup);
  },
};

/** Throws unless the namespace that an object is created in exists and takes new content. */
export function assertNamespaceOpen(
  definition: ResourceDefinition,
  object: Readonly<KubeObject>,
  lookup: Lookup,
): void {
  const name = object.metadata.namespace ?? "";
  const namespace = lookup.find(NAMESPACES, "", name);
  if (namespace === undefined) throw notFound({ group: "", resource: "namespaces" }, name);
  if (namespace.metadata.deletionTimestamp === undefined) return;
  const why = `unable to create new content in namespace ${name} because it is being terminated`;
  const error = forbidden(definition, object.metadata.name ?? "", why);
  error.status.details = {
    ...error.status.details,
    causes: [
      {
        reason: "NamespaceTerminating",
        message: `namespace ${name} is being terminated`,
        field: "metadata.namespace",
      },
    ],
  };
  throw error;
}
