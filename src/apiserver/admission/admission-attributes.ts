import { type Namespace, NAMESPACES, type ResourceDefinition } from "../../api/index.ts";
import { apiVersionOf, type KubeObject } from "../../apimachinery/index.ts";
import type { Registry } from "../../registry/index.ts";
import type { User } from "../user.ts";

export type Operation = "CREATE" | "UPDATE" | "DELETE";

/** Who writes what: alike for all objects of one request. */
export interface AdmissionContext {
  readonly registry: Registry;
  readonly definition: ResourceDefinition;
  readonly subresource: string;
  readonly user: User;
  readonly warn: (text: string) => void;
}

/** One write, as policies and webhooks are asked about it. */
export interface AdmissionAttributes {
  readonly context: AdmissionContext;
  readonly operation: Operation;
  readonly dryRun: boolean;
  readonly namespace: string;
  readonly name: string;
  /** Absent for a deletion. */
  readonly object: KubeObject | undefined;
  /** Absent for a creation. */
  readonly old: Readonly<KubeObject> | undefined;
  /** Where the object is or will be; absent for cluster-wide kinds. */
  readonly namespaceObject: Readonly<Namespace> | undefined;
}

export function attributesOf(
  context: AdmissionContext,
  write: Pick<AdmissionAttributes, "old" | "dryRun"> & {
    readonly object: Readonly<KubeObject> | undefined;
  },
): AdmissionAttributes {
  const { object, old } = write;
  const { definition, registry } = context;
  const { name = "", namespace = "" } = (object ?? old)?.metadata ?? {};
  // A namespace is its own: selectors of namespaces look at its labels.
  const within = definition.kind === "Namespace" && definition.group === "" ? name : namespace;
  const found = within === "" ? undefined : registry.present.find(NAMESPACES, "", within);
  const own = definition.kind === "Namespace" && definition.group === "" ? object : undefined;
  return {
    ...write,
    context,
    operation: object === undefined ? "DELETE" : old === undefined ? "CREATE" : "UPDATE",
    namespace,
    name,
    namespaceObject: own ?? found,
  };
}

/** The AdmissionRequest (admission.k8s.io/v1) without uid and objects. */
export function requestOf(attributes: AdmissionAttributes): Record<string, unknown> {
  const { context, operation, dryRun, namespace, name } = attributes;
  const { definition, subresource, user } = context;
  const { group, version, kind, resource } = definition;
  const { name: username, uid, groups, extra } = user;
  const which = { group, version, resource };
  const what = { group, version, kind };
  return {
    kind: what,
    resource: which,
    ...(subresource === "" ? {} : { subResource: subresource }),
    requestKind: what,
    requestResource: which,
    ...(subresource === "" ? {} : { requestSubResource: subresource }),
    ...(name === "" ? {} : { name }),
    ...(namespace === "" ? {} : { namespace }),
    operation,
    userInfo: {
      username,
      ...(uid === undefined ? {} : { uid }),
      groups,
      ...(extra === undefined ? {} : { extra }),
    },
    dryRun,
    options: {
      kind: OPTIONS[operation],
      apiVersion: apiVersionOf({ group: "meta.k8s.io", version: "v1" }),
    },
  };
}

const OPTIONS: Readonly<Record<Operation, string>> = {
  CREATE: "CreateOptions",
  UPDATE: "UpdateOptions",
  DELETE: "DeleteOptions",
};
