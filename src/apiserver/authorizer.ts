import { ADMINISTRATORS, type User } from "./user.ts";

/** What a request wants to do: with a resource, or with a path that is no resource. */
export type Attributes =
  | {
      readonly type: "resource";
      readonly verb: string;
      readonly group: string;
      readonly version: string;
      readonly resource: string;
      readonly subresource: string;
      readonly namespace: string;
      readonly name: string;
      /** Of a list, watch or deletecollection: what it is limited to, "spec.nodeName=pi". */
      readonly fieldSelector?: string;
    }
  | { readonly type: "path"; readonly verb: string; readonly path: string };

export type ResourceAttributes = Extract<Attributes, { readonly type: "resource" }>;

export interface Decision {
  readonly allowed: boolean;
  /** Which rule allows it, or what stands against it; may be empty. */
  readonly reason: string;
}

export interface Authorizer {
  /** Everything not allowed is forbidden. */
  decide(user: User, attributes: Attributes): Decision;
}

export const DENIED: Decision = { allowed: false, reason: "" };
const ALLOWED: Decision = { allowed: true, reason: "" };

/** Members of system:masters may do everything, whatever the roles say. */
export const administratorAuthorizer: Authorizer = {
  decide: (user) => (user.groups.includes(ADMINISTRATORS) ? ALLOWED : DENIED),
};

/** What one of them allows is allowed; each that denies may say why. */
export function anyAuthorizer(...authorizers: readonly Authorizer[]): Authorizer {
  return {
    decide(user, attributes) {
      const reasons: string[] = [];
      for (const authorizer of authorizers) {
        const decision = authorizer.decide(user, attributes);
        if (decision.allowed) return decision;
        if (decision.reason !== "") reasons.push(decision.reason);
      }
      return reasons.length === 0 ? DENIED : { allowed: false, reason: reasons.join("\n") };
    },
  };
}
