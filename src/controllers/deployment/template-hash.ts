import type { Deployment, PodTemplateSpec, ReplicaSet } from "../../api/index.ts";
import { deepEqual } from "../deep-equal.ts";

export const TEMPLATE_HASH_LABEL = "pod-template-hash";

/** Letters that neither spell words nor look alike. */
const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";

/**
 * The name of a template: equal templates have equal hashes, whatever the order of their fields.
 * A collision counter moves to the next name when two different templates share one.
 */
export function templateHash(template: PodTemplateSpec, collisionCount: number): string {
  const suffix = collisionCount === 0 ? "" : String(collisionCount);
  const hash = fnv1a(canonicalJson(template) + suffix);
  return Array.from(String(hash), (digit) => ALPHABET[digit.charCodeAt(0) % ALPHABET.length]).join(
    "",
  );
}

/** True when the ReplicaSet's template is the Deployment's, its own hash label aside. */
export function hasSameTemplate(deployment: Deployment, replicaSet: ReplicaSet): boolean {
  return deepEqual(
    withoutHash(deployment.spec?.template ?? {}),
    withoutHash(replicaSet.spec?.template ?? {}),
  );
}

function withoutHash(template: PodTemplateSpec): PodTemplateSpec {
  const { [TEMPLATE_HASH_LABEL]: _hash, ...labels } = template.metadata?.labels ?? {};
  return { ...template, metadata: { ...template.metadata, labels } };
}

/** FNV-1a, 32 bits (Fowler, Noll, Vo). */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return hash >>> 0;
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part !== "object" || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
