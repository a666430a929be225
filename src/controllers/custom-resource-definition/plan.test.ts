import { describe, expect, test } from "bun:test";
import type { apiextensionsV1 } from "../../api/index.ts";
import { planNames, withTerminating } from "./plan.ts";

type Crd = apiextensionsV1.CustomResourceDefinition;

const NOW = Date.UTC(2026, 0, 1);
const LATER = NOW + 60_000;

function crd(plural: string, kind: string, more: Partial<Crd["spec"]["names"]> = {}): Crd {
  return {
    metadata: { name: `${plural}.example.com` },
    spec: {
      group: "example.com",
      scope: "Namespaced",
      names: { plural, kind, singular: kind.toLowerCase(), listKind: `${kind}List`, ...more },
      versions: [{ name: "v1", served: true, storage: true }],
    },
    status: { storedVersions: ["v1"] },
  };
}

function accepted(of: Crd): Crd {
  return { ...of, status: planNames(of, [], NOW) ?? of.status ?? {} };
}

function conditions(status: Crd["status"]): unknown[] {
  return (status?.conditions ?? []).map(({ type, status: is, reason, message }) => {
    return [type, is, reason, message];
  });
}

describe("planNames", () => {
  test("planNames: free names are accepted, and the kind is served", () => {
    const status = planNames(crd("tabs", "Tab", { shortNames: ["t"] }), [], NOW);
    expect(status).toMatchObject({
      storedVersions: ["v1"],
      acceptedNames: { plural: "tabs", singular: "tab", kind: "Tab", shortNames: ["t"] },
    });
    expect(conditions(status)).toEqual([
      ["NamesAccepted", "True", "NoConflicts", "no conflicts found"],
      ["Established", "True", "InitialNamesAccepted", "the initial names have been accepted"],
    ]);
  });

  test("planNames: what is decided is not decided again", () => {
    expect(planNames(accepted(crd("tabs", "Tab")), [], LATER)).toBeUndefined();
  });

  test("planNames: names that another definition has are refused, until it goes", () => {
    const first = accepted(crd("tabs", "Tab", { shortNames: ["t"] }));
    const second = crd("tables", "Table", { shortNames: ["t"] });
    const status = planNames(second, [first], NOW);
    expect(conditions(status)).toEqual([
      ["NamesAccepted", "False", "ShortNamesConflict", '"t" is already in use'],
      ["Established", "False", "NotAccepted", "not all names are accepted"],
    ]);
    const refused = { ...second, status: status ?? {} };
    expect(planNames(refused, [first], LATER)).toBeUndefined();
    const free = planNames(refused, [], LATER);
    expect(free?.conditions).toMatchObject([
      { type: "NamesAccepted", status: "True" },
      { type: "Established", status: "True" },
    ]);
    expect(free?.conditions?.[1]?.lastTransitionTime).toBe("2026-01-01T00:01:00Z");
  });

  test("planNames: a kind stays served when a new name of it is refused", () => {
    const first = accepted(crd("tabs", "Tab", { shortNames: ["t"] }));
    const second = accepted(crd("tables", "Table"));
    const { spec } = crd("tables", "Table", { shortNames: ["t"] });
    const status = planNames({ ...second, spec }, [first], LATER);
    expect(status?.conditions).toMatchObject([
      { type: "NamesAccepted", status: "False", reason: "ShortNamesConflict" },
      { type: "Established", status: "True" },
    ]);
  });
});

test("withTerminating: replaces what was said of the deletion before", () => {
  const before = withTerminating(crd("a", "A"), "InstanceDeletionInProgress", "going", NOW);
  const going = { ...crd("a", "A"), status: { conditions: before } };
  const after = withTerminating(going, "InstanceDeletionFailed", "stuck", LATER);
  expect(after).toHaveLength(1);
  expect(after[0]).toMatchObject({ reason: "InstanceDeletionFailed", message: "stuck" });
});
