import type { KubeObject } from "../../apimachinery/index.ts";
import type { ApiRequest } from "../api-request.ts";
import { nodeNameOf } from "../user.ts";
import type { Admitted } from "./admitted.ts";
import { admitCertificateRequest } from "./certificate-requests.ts";
import { organizationsOf } from "./request-subject.ts";
import { refuseEscalation } from "./escalation.ts";
import { restrictNode } from "./node-restriction.ts";

/** Refuses the creation of an object that this user may not create. Throws 403. */
export function admitCreate(api: ApiRequest, next: Readonly<KubeObject>): void {
  admit(api, { verb: "create", next });
}

/** Refuses a change that this user may not make. Throws 403. */
export function admitUpdate(
  api: ApiRequest,
  next: Readonly<KubeObject>,
  old: Readonly<KubeObject>,
): void {
  admit(api, { verb: "update", next, old });
}

/** Refuses a deletion or eviction that this user may not make. Throws 403. */
export function admitDelete(api: ApiRequest, old: Readonly<KubeObject>): void {
  admit(api, { verb: "delete", old });
}

/** Whether deletions by this user must be looked at: only nodes are held to their own objects. */
export function restrictsDeletions({ user }: ApiRequest): boolean {
  return nodeNameOf(user) !== undefined;
}

function admit(api: ApiRequest, write: Pick<Admitted, "verb" | "next" | "old">): void {
  const { definition, namespace, target, user } = api;
  const name = target.name || (write.next?.metadata.name ?? "");
  api.note.name = name;
  const admitted = { ...write, definition, namespace, name, subresource: target.subresource };
  const node = nodeNameOf(user);
  if (node !== undefined) restrictNode(node, admitted);
  if (definition.group === "rbac.authorization.k8s.io") {
    refuseEscalation(user, admitted, api.context.access);
  }
  if (definition.group === "certificates.k8s.io") {
    const { access, clock } = api.context;
    admitCertificateRequest(admitted, { user, access, nowMs: clock.now(), organizationsOf });
  }
}
