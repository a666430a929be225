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
    }
  | { readonly type: "path"; readonly verb: string; readonly path: string };

export interface Authorizer {
  /** True when the user may; everything not allowed is forbidden. */
  allows(user: User, attributes: Attributes): boolean;
}

const COMPONENTS: ReadonlySet<string> = new Set([
  "system:apiserver",
  "system:kube-controller-manager",
  "system:kube-scheduler",
  "system:kube-proxy",
]);
const COMPONENT_GROUPS: readonly string[] = [ADMINISTRATORS, "system:nodes"];

/** Administrators and the cluster's own components may do everything, nobody else anything. */
export const componentAuthorizer: Authorizer = {
  allows: (user) =>
    COMPONENTS.has(user.name) || user.groups.some((group) => COMPONENT_GROUPS.includes(group)),
};
