import type { apiextensionsV1 } from "../../api/index.ts";
import { type KubeObject, rfc3339 } from "../../apimachinery/index.ts";
import { part, type Strategy } from "../strategy.ts";

type Crd = apiextensionsV1.CustomResourceDefinition;

export const CLEANUP_FINALIZER = "customresourcecleanup.apiextensions.k8s.io";

/**
 * A definition remembers every version that objects were ever stored in, and goes after its
 * objects: the controller of custom resources deletes them and takes the finalizer out.
 */
export const crdStrategy: Strategy = {
  prepareForCreate(object) {
    object["status"] = { acceptedNames: { plural: "", kind: "" }, storedVersions: [] };
    rememberStoredVersion(object);
  },
  prepareForUpdate(next, _old, scope) {
    if (scope === "object") rememberStoredVersion(next);
  },
  prepareForDelete(object, now) {
    const finalizers = object.metadata.finalizers ?? [];
    if (!finalizers.includes(CLEANUP_FINALIZER)) {
      object.metadata.finalizers = [...finalizers, CLEANUP_FINALIZER];
    }
    const { status } = object as Crd;
    const others = (status?.conditions ?? []).filter(({ type }) => type !== "Terminating");
    const terminating = {
      type: "Terminating",
      status: "True",
      lastTransitionTime: rfc3339(now),
      reason: "InstanceDeletionPending",
      message:
        "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
    };
    object["status"] = { ...part(object, "status"), conditions: [...others, terminating] };
  },
};

function rememberStoredVersion(object: KubeObject): void {
  const { spec, status } = object as Crd;
  const stored = spec?.versions?.find(({ storage }) => storage)?.name;
  const known = status?.storedVersions ?? [];
  if (stored === undefined || known.includes(stored)) return;
  object["status"] = { ...part(object, "status"), storedVersions: [...known, stored] };
}
