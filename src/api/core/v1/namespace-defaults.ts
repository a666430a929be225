import type { Namespace } from "./types.ts";

export const NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name";
const CONTENT_FINALIZER = "kubernetes";

/** Labels a Namespace with its name, and keeps it until its content is gone. */
export function defaultNamespace(namespace: Namespace): void {
  const { metadata } = namespace;
  if (metadata.name) {
    metadata.labels = { ...metadata.labels, [NAMESPACE_NAME_LABEL]: metadata.name };
  }
  // Once it is being deleted, an empty list means that finalization is done.
  if (metadata.deletionTimestamp !== undefined) return;
  const spec = (namespace.spec ??= {});
  if (!spec.finalizers?.includes(CONTENT_FINALIZER)) {
    spec.finalizers = [...(spec.finalizers ?? []), CONTENT_FINALIZER];
  }
  const status = (namespace.status ??= {});
  status.phase ||= "Active";
}
