import type { PolicyRule } from "../../api/index.ts";
import type { Registry } from "../../registry/index.ts";
import { administratorAuthorizer, anyAuthorizer, type Authorizer } from "../authorizer.ts";
import { nodeAuthorizer } from "../node-authorizer.ts";
import type { User } from "../user.ts";
import { rbacAuthorizer, rulesOfUser } from "./rbac-authorizer.ts";
import { RbacIndex } from "./rbac-index.ts";

/** Who may what: the authorizers of a cluster, and the rules behind them. */
export interface AccessControl extends Authorizer {
  readonly index: RbacIndex;
  rulesOf(user: User, namespace: string): readonly PolicyRule[];
}

/** Administrators, nodes, and everybody else by the roles in the registry. */
export function createAccessControl(registry: Registry): AccessControl {
  const index = new RbacIndex(registry);
  const { decide } = anyAuthorizer(
    administratorAuthorizer,
    nodeAuthorizer(registry.present),
    rbacAuthorizer(index),
  );
  return { decide, index, rulesOf: (user, namespace) => rulesOfUser(index, user, namespace) };
}
