import type { apiextensionsV1 } from "../../api/index.ts";
import { jsonEquals, rfc3339 } from "../../apimachinery/index.ts";

type Crd = apiextensionsV1.CustomResourceDefinition;
type Names = apiextensionsV1.CustomResourceDefinitionNames;
type Condition = apiextensionsV1.CustomResourceDefinitionCondition;
type Status = apiextensionsV1.CustomResourceDefinitionStatus;

/**
 * The names that a definition gets, and whether it is served. Names go to who had them first: what
 * another definition of the group was given is refused, and is looked at again when it goes.
 * @param others definitions of the same group that were given names
 * @returns undefined when the status stays as it is
 */
export function planNames(
  crd: Readonly<Crd>,
  others: readonly Readonly<Crd>[],
  nowMs: number,
): Status | undefined {
  const { spec, status } = crd;
  const taken = takenNames(others);
  const accepted = acceptedNames(spec.names, status?.acceptedNames, taken);
  const namesAccepted: Wanted = accepted.conflict ?? {
    type: "NamesAccepted",
    status: "True",
    reason: "NoConflicts",
    message: "no conflicts found",
  };
  const isFirst = conditionOf(status, "Established") === undefined;
  const isEstablished = conditionOf(status, "Established")?.status === "True";
  const isAccepted = accepted.conflict === undefined;
  const established: Wanted =
    isAccepted || isEstablished
      ? {
          type: "Established",
          status: "True",
          reason: "InitialNamesAccepted",
          message: "the initial names have been accepted",
        }
      : {
          type: "Established",
          status: "False",
          reason: "NotAccepted",
          message: "not all names are accepted",
        };
  const wanted =
    isFirst || isAccepted || !isEstablished ? [namesAccepted, established] : [namesAccepted];
  const next: Status = {
    ...status,
    acceptedNames: accepted.names,
    conditions: withConditions(status?.conditions ?? [], wanted, nowMs),
  };
  return jsonEquals(next, status ?? {}) ? undefined : next;
}

/** The conditions with one about how the deletion of the objects goes. */
export function withTerminating(
  crd: Readonly<Crd>,
  reason: "InstanceDeletionInProgress" | "InstanceDeletionFailed" | "InstanceDeletionCompleted",
  message: string,
  nowMs: number,
): Condition[] {
  const status = reason === "InstanceDeletionCompleted" ? "False" : "True";
  const wanted = { type: "Terminating", status, reason, message };
  return withConditions(crd.status?.conditions ?? [], [wanted], nowMs);
}

type Wanted = Pick<Condition, "type" | "status"> & {
  readonly reason: string;
  readonly message: string;
};

interface TakenNames {
  readonly resources: ReadonlySet<string>;
  readonly kinds: ReadonlySet<string>;
}

function takenNames(others: readonly Readonly<Crd>[]): TakenNames {
  const resources = new Set<string>();
  const kinds = new Set<string>();
  for (const { status } of others) {
    const names = status?.acceptedNames;
    if (names === undefined) continue;
    for (const name of [names.plural, names.singular, ...(names.shortNames ?? [])]) {
      if (name) resources.add(name);
    }
    for (const kind of [names.kind, names.listKind]) if (kind) kinds.add(kind);
  }
  return { resources, kinds };
}

interface Accepted {
  readonly names: Names;
  readonly conflict?: Wanted;
}

/** Each name by itself: what is refused stays what it was. */
function acceptedNames(wanted: Names, before: Names | undefined, taken: TakenNames): Accepted {
  const names: Names = { plural: before?.plural ?? "", kind: before?.kind ?? "", ...before };
  let conflict: Wanted | undefined;
  const refuse = (reason: string, name: string): void => {
    const message = `${JSON.stringify(name)} is already in use`;
    conflict ??= { type: "NamesAccepted", status: "False", reason, message };
  };
  if (taken.resources.has(wanted.plural)) refuse("PluralConflict", wanted.plural);
  else names.plural = wanted.plural;
  const { singular, listKind, shortNames, categories } = wanted;
  if (singular !== undefined && taken.resources.has(singular)) refuse("SingularConflict", singular);
  else if (singular !== undefined) names.singular = singular;
  const conflicting = (shortNames ?? []).filter((name) => taken.resources.has(name));
  const [first] = conflicting;
  if (first !== undefined) refuse("ShortNamesConflict", first);
  else if (shortNames === undefined) delete names.shortNames;
  else names.shortNames = [...shortNames];
  if (taken.kinds.has(wanted.kind)) refuse("KindConflict", wanted.kind);
  else names.kind = wanted.kind;
  if (listKind !== undefined && taken.kinds.has(listKind)) refuse("ListKindConflict", listKind);
  else if (listKind !== undefined) names.listKind = listKind;
  if (categories === undefined) delete names.categories;
  else names.categories = [...categories];
  return conflict === undefined ? { names } : { names, conflict };
}

function conditionOf(status: Status | undefined, type: string): Condition | undefined {
  return status?.conditions?.find((condition) => condition.type === type);
}

function withConditions(
  present: readonly Condition[],
  wanted: readonly Wanted[],
  nowMs: number,
): Condition[] {
  const result = [...present];
  for (const condition of wanted) {
    const index = result.findIndex(({ type }) => type === condition.type);
    const before = result[index];
    const isSameStatus = before?.status === condition.status;
    const lastTransitionTime =
      isSameStatus && before.lastTransitionTime !== undefined
        ? before.lastTransitionTime
        : rfc3339(nowMs);
    const next = { ...condition, lastTransitionTime };
    if (index < 0) result.push(next);
    else if (before?.reason !== condition.reason || !isSameStatus) result[index] = next;
  }
  return result;
}
