import type { PolicyRule, Subject } from "../../api/index.ts";
import { type Authorizer, type Decision, DENIED } from "../authorizer.ts";
import type { User } from "../user.ts";
import type { Grant, RbacIndex } from "./rbac-index.ts";
import { RBAC_GROUP } from "./role-objects.ts";
import { ruleAllows } from "./rule-match.ts";

/** Allows what a binding allows: cluster-wide, or for resources in the binding's namespace. */
export function rbacAuthorizer(index: RbacIndex): Authorizer {
  return {
    decide(user, attributes) {
      const namespace = attributes.type === "resource" ? attributes.namespace : "";
      for (const grant of index.grantsOf(user, namespace)) {
        for (const rule of grant.rules ?? []) {
          if (ruleAllows(rule, attributes)) return new Allowed(grant);
        }
      }
      return denied(index.grantsOf(user, namespace));
    },
  };
}

/** All rules that a user has, in a namespace and cluster-wide. */
export function rulesOfUser(index: RbacIndex, user: User, namespace: string): PolicyRule[] {
  return index.grantsOf(user, namespace).flatMap(({ rules }) => rules ?? []);
}

/** Its reason is put into words only when somebody asks. */
class Allowed implements Decision {
  readonly allowed = true;
  readonly #grant: Grant;

  constructor(grant: Grant) {
    this.#grant = grant;
  }

  get reason(): string {
    const { binding, subject } = this.#grant;
    const { name = "", namespace } = binding.metadata;
    const kind = namespace === undefined ? "ClusterRoleBinding" : "RoleBinding";
    const full = namespace === undefined ? name : `${name}/${namespace}`;
    const role = `${binding.roleRef.kind} "${binding.roleRef.name}"`;
    return `RBAC: allowed by ${kind} "${full}" of ${role} to ${subjectText(subject, namespace)}`;
  }
}

/** Says which roles are bound but do not exist. */
function denied(grants: readonly Grant[]): Decision {
  const roleless = grants.filter(({ rules }) => rules === undefined);
  if (roleless.length === 0) return DENIED;
  const missing = roleless.map(({ binding: { roleRef } }) => {
    return `${roleRef.kind.toLowerCase()}.${RBAC_GROUP} "${roleRef.name}" not found`;
  });
  const different = [...new Set(missing)];
  const text = different.length === 1 ? different[0] : `[${different.join(", ")}]`;
  return { allowed: false, reason: `RBAC: ${text}` };
}

function subjectText({ kind, name, namespace }: Subject, of: string | undefined): string {
  if (kind !== "ServiceAccount") return `${kind} "${name}"`;
  return `${kind} "${name}/${namespace ?? of ?? ""}"`;
}
