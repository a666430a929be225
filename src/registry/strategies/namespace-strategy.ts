import type { Namespace } from "../../api/index.ts";
import { forbidden, type KubeObject } from "../../apimachinery/index.ts";
import { part, type Strategy } from "../strategy.ts";

const NAME_LABEL = "kubernetes.io/metadata.name";
const FINALIZER = "kubernetes";
const IMMORTAL: ReadonlySet<string> = new Set(["default", "kube-system", "kube-public"]);

/**
 * A namespace stays, Terminating, until the namespace controller has emptied it and taken the
 * finalizer out of its spec.
 */
export const namespaceStrategy: Strategy = {
  prepareForCreate(object) {
    const finalizers = finalizersOf(object);
    object["spec"] = {
      ...part(object, "spec"),
      finalizers: finalizers.includes(FINALIZER) ? finalizers : [...finalizers, FINALIZER],
    };
    object["status"] = { phase: "Active" };
    labelWithName(object);
  },
  prepareForUpdate(next, old, scope) {
    labelWithName(next);
    // Only the finalize endpoint takes finalizers out.
    if (scope === "object") next["spec"] = { ...part(old, "spec") };
  },
  assertDeletable({ metadata }) {
    const name = metadata.name ?? "";
    if (!IMMORTAL.has(name)) return;
    const resource = { group: "", resource: "namespaces" };
    throw forbidden(resource, name, "this namespace may not be deleted");
  },
  holds: (object) => finalizersOf(object).length > 0,
  beginDeletion(object) {
    delete object.metadata.deletionGracePeriodSeconds;
    object["status"] = { ...part(object, "status"), phase: "Terminating" };
  },
};

function finalizersOf(object: Readonly<KubeObject>): string[] {
  return (object as Namespace).spec?.finalizers ?? [];
}

function labelWithName({ metadata }: KubeObject): void {
  metadata.labels = { ...metadata.labels, [NAME_LABEL]: metadata.name ?? "" };
}
