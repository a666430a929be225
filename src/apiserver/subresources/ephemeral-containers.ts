import type { Pod } from "../../api/index.ts";
import {
  type FieldError,
  forbiddenField,
  invalid,
  jsonEquals,
  type KubeObject,
} from "../../apimachinery/index.ts";
import type { ApiRequest } from "../api-request.ts";

/** Ephemeral containers come and stay as they came. Throws 422 for a change or removal. */
export function assertEphemeralContainersStay(
  { definition, target }: ApiRequest,
  next: Readonly<KubeObject>,
  old: Readonly<KubeObject>,
): void {
  const errors: FieldError[] = [];
  const after = (next as Pod).spec?.ephemeralContainers ?? [];
  for (const container of (old as Pod).spec?.ephemeralContainers ?? []) {
    const { name } = container;
    const same = after.find((candidate) => candidate.name === name);
    if (same !== undefined && jsonEquals(same, container)) continue;
    const what = same === undefined ? "removed" : "changed";
    const why = `existing ephemeral containers ${JSON.stringify(name)} may not be ${what}`;
    errors.push(forbiddenField("spec.ephemeralContainers", why));
  }
  if (errors.length > 0) throw invalid(definition, target.name, errors);
}
