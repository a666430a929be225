import { labelSelectorFrom, matchesLabels } from "../apimachinery/index.ts";
import type { KubeObject, LabelSelector } from "../apimachinery/index.ts";
import type { LabelSelector as MetaLabelSelector } from "../api/index.ts";
import { controllerOf } from "./owner-reference.ts";

export interface ClaimPlan<T extends KubeObject> {
  /** Controlled by the owner and matching its selector. */
  readonly owned: readonly T[];
  /** Matching, and controlled by nobody: the owner should take them. */
  readonly adopt: readonly T[];
  /** Controlled by the owner, but no longer matching: to be let go. */
  readonly release: readonly T[];
}

/**
 * Sorts objects by whether an owner has them, should take them or must let them go. Nothing is
 * taken from another controller, nothing that is going away is taken or let go, and an owner that
 * is going away takes nothing.
 */
export function planClaims<T extends KubeObject>(
  owner: KubeObject,
  selector: MetaLabelSelector | undefined,
  candidates: readonly T[],
): ClaimPlan<T> {
  const matcher: LabelSelector = labelSelectorFrom(selector);
  const owned: T[] = [];
  const adopt: T[] = [];
  const release: T[] = [];
  const ownerLives = owner.metadata.deletionTimestamp === undefined;
  for (const object of candidates) {
    const controller = controllerOf(object);
    const matches = matchesLabels(matcher, object.metadata.labels);
    const lives = object.metadata.deletionTimestamp === undefined;
    if (controller?.uid === owner.metadata.uid) {
      if (matches) owned.push(object);
      else if (ownerLives && lives) release.push(object);
    } else if (controller === undefined && matches && ownerLives && lives) {
      adopt.push(object);
    }
  }
  return { owned, adopt, release };
}
