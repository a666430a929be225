import type { Container, ObjectMeta, PodSpec, SecurityContext } from "../../../api/index.ts";

/** What is not allowed, and who does it: `privileged`, `container "a" must not set …`. */
export interface Violation {
  readonly reason: string;
  readonly detail: string;
}

/** A pod, or what a workload makes pods from. */
export interface CheckedPod {
  readonly metadata: Partial<ObjectMeta>;
  readonly spec: PodSpec;
  readonly containers: readonly Container[];
}

/** One rule of the Pod Security Standards. */
export type SecurityCheck = (pod: CheckedPod) => Violation | undefined;

/** A pod with all its containers of every kind. */
export function checkedPod(metadata: Partial<ObjectMeta>, spec: PodSpec): CheckedPod {
  const ephemeral = (spec.ephemeralContainers ?? []) as readonly Container[];
  const containers = [...(spec.initContainers ?? []), ...(spec.containers ?? []), ...ephemeral];
  return { metadata, spec, containers };
}

/** `container "a"` or `containers "a", "b"`, by a property of their security context. */
export function containersThat(
  { containers }: CheckedPod,
  holds: (context: SecurityContext | undefined) => boolean,
): string[] {
  return containers.filter(({ securityContext }) => holds(securityContext)).map(({ name }) => name);
}

export function named(one: string, many: string, names: readonly string[]): string {
  return `${plural(one, many, names)} ${quoted(names)}`;
}

export function plural(one: string, many: string, items: readonly unknown[]): string {
  return items.length === 1 ? one : many;
}

/** `"a", "b"` */
export function quoted(names: readonly string[]): string {
  return names.map((name) => JSON.stringify(name)).join(", ");
}

export function sorted(values: Iterable<string>): string[] {
  return [...new Set(values)].sort();
}

/** `pod and containers "a", "b"`: who sets something forbidden; empty when nobody does. */
export function setters(pod: "pod" | undefined, containers: readonly string[]): string {
  const parts: string[] = pod === undefined ? [] : [pod];
  if (containers.length > 0) parts.push(named("container", "containers", containers));
  return parts.join(" and ");
}

/** `pod or container "a"`: who would have to set something. */
export function podOr(containers: readonly string[]): string {
  return `pod or ${named("container", "containers", containers)}`;
}
