import type { Pod, PodTemplateSpec, ReplicaSet } from "../../api/index.ts";
import { controllerReference } from "../owner-reference.ts";

/** A new pod of a template, named by the server and controlled by its owner. */
export function podFromTemplate(
  owner: ReplicaSet,
  type: { readonly apiVersion: string; readonly kind: string },
): Pod {
  const template: PodTemplateSpec | undefined = owner.spec?.template;
  const { labels, annotations, finalizers } = template?.metadata ?? {};
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      generateName: `${owner.metadata.name}-`,
      ...(owner.metadata.namespace === undefined ? {} : { namespace: owner.metadata.namespace }),
      ...(labels === undefined ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
      ...(finalizers === undefined ? {} : { finalizers }),
      ownerReferences: [controllerReference(owner, type)],
    },
    spec: template?.spec ?? { containers: [] },
  };
}
