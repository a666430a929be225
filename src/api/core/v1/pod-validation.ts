import {
  type FieldError,
  FieldPath,
  forbiddenField,
  invalidField,
  jsonEquals,
} from "../../../apimachinery/index.ts";
import { checkPodSpec } from "./pod-spec-validation.ts";
import { checkAddedTolerations } from "./scheduling-validation.ts";
import type { Container, Pod, PodSpec } from "./types.ts";

const SPEC = FieldPath.root("spec");

const MAY_CHANGE =
  "pod updates may not change fields other than `spec.containers[*].image`," +
  "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` " +
  "(only additions to existing tolerations),`spec.terminationGracePeriodSeconds` " +
  "(allow it to be set to 1 if it was previously negative)";

export function validatePod(pod: Pod): FieldError[] {
  const errors: FieldError[] = [];
  checkPodSpec(errors, SPEC, pod.spec ?? { containers: [] });
  return errors;
}

/**
 * What of a pod's spec stays as it was created. Binding, ephemeral containers and resizing go
 * through subresources with rules of their own, not through here.
 */
export function validatePodUpdate(next: Pod, old: Pod): FieldError[] {
  const errors: FieldError[] = [];
  const nextSpec = next.spec ?? { containers: [] };
  const oldSpec = old.spec ?? { containers: [] };
  if (jsonEquals(nextSpec, oldSpec)) return errors;
  for (const field of ["containers", "initContainers"] as const) {
    if ((nextSpec[field]?.length ?? 0) !== (oldSpec[field]?.length ?? 0)) {
      const what = field === "containers" ? "containers" : "init containers";
      errors.push(forbiddenField(SPEC, `pod updates may not add or remove ${what}`));
      return errors;
    }
  }
  checkDeadlineChange(errors, nextSpec.activeDeadlineSeconds, oldSpec.activeDeadlineSeconds);
  checkAddedTolerations(errors, SPEC.child("tolerations"), nextSpec, oldSpec);
  if (!jsonEquals(withMutableFieldsOf(nextSpec, oldSpec), oldSpec)) {
    errors.push(forbiddenField(SPEC, MAY_CHANGE));
  }
  return errors;
}

function checkDeadlineChange(
  errors: FieldError[],
  next: number | undefined,
  old: number | undefined,
): void {
  if (old === undefined) return;
  const path = SPEC.child("activeDeadlineSeconds");
  if (next === undefined) {
    const detail = "must not update from a positive integer to nil value";
    errors.push(invalidField(path, null, detail));
  } else if (next > old) {
    errors.push(invalidField(path, next, "must be less than or equal to previous value"));
  }
}

/** `next` with all that may change set back: what differs from `old` then may not. */
function withMutableFieldsOf(next: PodSpec, old: PodSpec): PodSpec {
  const munged: PodSpec = {
    ...next,
    containers: withImagesOf(next.containers ?? [], old.containers ?? []),
  };
  if (next.initContainers !== undefined) {
    munged.initContainers = withImagesOf(next.initContainers, old.initContainers ?? []);
  }
  setBack(munged, old, "activeDeadlineSeconds");
  setBack(munged, old, "tolerations");
  // A gate may be lifted, never added.
  const oldGates = new Set((old.schedulingGates ?? []).map(({ name }) => name));
  if ((next.schedulingGates ?? []).every(({ name }) => oldGates.has(name))) {
    setBack(munged, old, "schedulingGates");
  }
  const { terminationGracePeriodSeconds: grace } = next;
  if (grace === 1 && (old.terminationGracePeriodSeconds ?? 0) < 0) {
    setBack(munged, old, "terminationGracePeriodSeconds");
  }
  return munged;
}

function setBack<K extends keyof PodSpec>(target: PodSpec, old: PodSpec, field: K): void {
  if (old[field] === undefined) delete target[field];
  else target[field] = old[field];
}

function withImagesOf(next: readonly Container[], old: readonly Container[]): Container[] {
  return next.map((container, index) => {
    const image = old[index]?.image;
    return image === undefined ? container : { ...container, image };
  });
}
