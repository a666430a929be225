import {
  badRequest,
  checkFieldManager,
  type FieldError,
  forbiddenField,
  invalid,
  notSupportedField,
  requiredField,
} from "../apimachinery/index.ts";
import type { FieldValidation } from "./object-intake.ts";

/** The options kinds of the verbs, as messages name them. */
export type OptionsKind = "CreateOptions" | "UpdateOptions" | "PatchOptions" | "DeleteOptions";

export interface WriteQuery {
  readonly dryRun: boolean;
  readonly fieldValidation: FieldValidation;
}

const META_GROUP = "meta.k8s.io";

/** What the query of a write says. Throws 422 for values that are not allowed. */
export function writeQueryOf(
  query: URLSearchParams,
  kind: OptionsKind,
  applied?: "applied",
): WriteQuery {
  if (query.size === 0 && applied === undefined) return { dryRun: false, fieldValidation: "Warn" };
  const errors: FieldError[] = [];
  const validation = query.get("fieldValidation") ?? "";
  if (!["", "Strict", "Warn", "Ignore"].includes(validation)) {
    errors.push(notSupportedField("fieldValidation", validation, ["Ignore", "Strict", "Warn"]));
  }
  errors.push(...checkFieldManager(query.get("fieldManager") ?? "", "fieldManager"));
  if (kind === "PatchOptions" && query.has("force") && applied === undefined) {
    errors.push(forbiddenField("force", "may not be specified for non-apply patch"));
  }
  if (applied !== undefined && (query.get("fieldManager") ?? "") === "") {
    errors.push(requiredField("fieldManager", "is required for apply patch"));
  }
  const dryRun = dryRunOf(query.getAll("dryRun"), errors);
  if (errors.length > 0) throw invalid({ group: META_GROUP, kind }, "", errors);
  return { dryRun, fieldValidation: (validation || "Warn") as FieldValidation };
}

/** What the query of a server-side apply says. */
export function applyQueryOf(query: URLSearchParams): WriteQuery & { readonly force: boolean } {
  return {
    ...writeQueryOf(query, "PatchOptions", "applied"),
    force: flagOf(query, "force") === true,
  };
}

/** Adds an error for every value but "All". */
export function dryRunOf(values: readonly string[], errors: FieldError[]): boolean {
  for (const value of values) {
    if (value !== "All") errors.push(notSupportedField("dryRun", value, ["All"]));
  }
  return values.length > 0;
}

/** A flag of the query: "true" and "1" are true, "false" and "0" false, "" as if alone true. */
export function flagOf(query: URLSearchParams, name: string): boolean | undefined {
  const text = query.get(name);
  switch (text) {
    case null:
      return undefined;
    case "":
    case "true":
    case "1":
    case "True":
      return true;
    default:
      return false;
  }
}

/** A whole number of the query. Throws 400 for other text. */
export function integerOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === "") return undefined;
  const value = /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value)) {
    const why = `strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`;
    throw badRequest(why);
  }
  return value;
}

/** How many objects a page may hold; undefined for all. */
export function limitOf(query: URLSearchParams): number | undefined {
  const limit = integerOf(query, "limit");
  return limit === undefined || limit <= 0 ? undefined : limit;
}
