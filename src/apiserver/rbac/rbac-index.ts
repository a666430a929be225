import {
  CLUSTER_ROLE_BINDINGS,
  CLUSTER_ROLES,
  type ClusterRole,
  type ClusterRoleBinding,
  type PolicyRule,
  type Role,
  ROLE_BINDINGS,
  type RoleBinding,
  type RoleRef,
  ROLES,
  type Subject,
} from "../../api/index.ts";
import type { ApiResource } from "../../api/index.ts";
import type { KubeObject } from "../../apimachinery/index.ts";
import type { Registry } from "../../registry/index.ts";
import type { User } from "../user.ts";
import { aggregatedRules } from "./aggregation.ts";

export type Binding = RoleBinding | ClusterRoleBinding;

/** What a user has by one binding. */
export interface Grant {
  readonly binding: Readonly<Binding>;
  readonly subject: Subject;
  /** Undefined when the role does not exist. */
  readonly rules: readonly PolicyRule[] | undefined;
}

interface Granted {
  readonly binding: Readonly<Binding>;
  readonly subject: Subject;
}

/** Users, counted once for each namespace they ask about, whose grants are kept together. */
const MAX_USERS_REMEMBERED = 4_096;

type BySubject = Map<string, Set<Granted>>;

/**
 * Roles and bindings in memory, arranged for the question who may what. Follows the registry: a
 * change is seen as soon as it is applied here. An aggregated role is the sum of its parts now,
 * whatever rules its object shows.
 */
export class RbacIndex {
  readonly #clusterRoles = new Map<string, Readonly<ClusterRole>>();
  readonly #roles = new Map<string, Readonly<Role>>();
  readonly #bindings = new Map<string, Readonly<Binding>>();
  /** Namespace ("" for cluster-wide bindings) → subject → what it is given. */
  readonly #granted = new Map<string, BySubject>();
  readonly #aggregated = new Map<string, readonly PolicyRule[]>();
  /** Forgotten with each change. */
  readonly #grants = new Map<string, Grant[]>();

  constructor(registry: Registry) {
    this.#follow(registry, CLUSTER_ROLES, (_key, name, role) => {
      if (role === undefined) this.#clusterRoles.delete(name);
      else this.#clusterRoles.set(name, role);
      this.#aggregated.clear();
    });
    this.#follow(registry, ROLES, (key, _name, role) => {
      if (role === undefined) this.#roles.delete(key);
      else this.#roles.set(key, role);
    });
    for (const resource of [CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS] as ApiResource<Binding>[]) {
      this.#follow(registry, resource, (key, _name, binding) => {
        const id = `${resource.resource}/${key}`;
        this.#ungrant(this.#bindings.get(id));
        if (binding === undefined) {
          this.#bindings.delete(id);
          return;
        }
        this.#bindings.set(id, binding);
        this.#grant(binding);
      });
    }
  }

  /** What a user has cluster-wide and, in a namespace, by that one's bindings. */
  grantsOf(user: User, namespace: string): readonly Grant[] {
    const key = JSON.stringify([namespace, user.name, user.groups]);
    let grants = this.#grants.get(key);
    if (grants === undefined) {
      grants = [...this.#grantsIn("", user)];
      if (namespace !== "") grants.push(...this.#grantsIn(namespace, user));
      if (this.#grants.size >= MAX_USERS_REMEMBERED) this.#grants.clear();
      this.#grants.set(key, grants);
    }
    return grants;
  }

  /** The rules of the role that a binding points to; undefined when there is none. */
  rulesOf(roleRef: RoleRef | undefined, namespace: string): readonly PolicyRule[] | undefined {
    const { kind = "", name = "" } = roleRef ?? {};
    if (kind === "Role") {
      const role = this.#roles.get(`${namespace}/${name}`);
      return role === undefined ? undefined : (role.rules ?? []);
    }
    const role = this.#clusterRoles.get(name);
    if (role === undefined) return undefined;
    return role.aggregationRule === undefined ? (role.rules ?? []) : this.#sumOf(name);
  }

  #sumOf(name: string): readonly PolicyRule[] {
    const known = this.#aggregated.get(name);
    if (known !== undefined) return known;
    const rules = aggregatedRules(this.#clusterRoles, name);
    this.#aggregated.set(name, rules);
    return rules;
  }

  *#grantsIn(namespace: string, user: User): Generator<Grant> {
    const granted = this.#granted.get(namespace);
    if (granted === undefined) return;
    yield* this.#withRules(granted.get(`User/${user.name}`), namespace);
    for (const name of user.groups) {
      yield* this.#withRules(granted.get(`Group/${name}`), namespace);
    }
  }

  *#withRules(granted: Iterable<Granted> | undefined, namespace: string): Generator<Grant> {
    for (const { binding, subject } of granted ?? []) {
      yield { binding, subject, rules: this.rulesOf(binding.roleRef, namespace) };
    }
  }

  #grant(binding: Readonly<Binding>): void {
    const namespace = namespaceOf(binding);
    const bySubject = this.#granted.get(namespace) ?? new Map<string, Set<Granted>>();
    this.#granted.set(namespace, bySubject);
    for (const subject of binding.subjects ?? []) {
      const key = subjectKey(subject, namespace);
      const all = bySubject.get(key) ?? new Set();
      all.add({ binding, subject });
      bySubject.set(key, all);
    }
  }

  #ungrant(binding: Readonly<Binding> | undefined): void {
    if (binding === undefined) return;
    const namespace = namespaceOf(binding);
    const bySubject = this.#granted.get(namespace);
    for (const subject of binding.subjects ?? []) {
      const key = subjectKey(subject, namespace);
      const all = bySubject?.get(key);
      for (const granted of all ?? []) if (granted.binding === binding) all?.delete(granted);
      if (all?.size === 0) bySubject?.delete(key);
    }
    if (bySubject?.size === 0) this.#granted.delete(namespace);
  }

  #follow<T extends KubeObject>(
    registry: Registry,
    resource: ApiResource<T>,
    apply: (key: string, name: string, object: Readonly<T> | undefined) => void,
  ): void {
    const known = new Map<string, string>();
    const changed = (storageKey: string, object: Readonly<T> | undefined): void => {
      this.#grants.clear();
      const name = storageKey.slice(storageKey.lastIndexOf("/") + 1);
      const parts = storageKey.split("/");
      const key = resource.namespaced ? parts.slice(-2).join("/") : name;
      if (object === undefined) known.delete(storageKey);
      else known.set(storageKey, name);
      apply(key, name, object);
    };
    registry.observe(resource, {
      changed,
      reset(objects) {
        for (const key of known.keys()) if (!objects.has(key)) changed(key, undefined);
        for (const [key, object] of objects) changed(key, object);
      },
    });
  }
}

function namespaceOf({ metadata }: Readonly<Binding>): string {
  return metadata.namespace ?? "";
}

/** Accounts are users of a special name. */
function subjectKey({ kind, name, namespace }: Subject, bindingNamespace: string): string {
  if (kind !== "ServiceAccount") return `${kind}/${name}`;
  return `User/system:serviceaccount:${namespace ?? bindingNamespace}:${name}`;
}
