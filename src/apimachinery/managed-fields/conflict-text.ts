import { goQuote } from "../go-text.ts";
import type { StatusCause } from "../meta.ts";
import { applyConflict, type StatusError } from "../status-error.ts";
import type { FieldConflict } from "./apply-configuration.ts";
import { pathsOf } from "./fields-v1.ts";
import type { ManagedEntry } from "./managed-entries.ts";

/** 409 with one cause for each field, in the words that kubectl prints. */
export function applyConflictError(conflicts: readonly FieldConflict[]): StatusError {
  const found = conflicts
    .map(({ owner, fields }) => ({ owner: ownerText(owner), paths: pathsOf(fields) }))
    .toSorted((a, b) => (a.owner < b.owner ? -1 : 1));
  const causes = found.flatMap(({ owner, paths }) =>
    paths.map((path): StatusCause => ({
      reason: "FieldManagerConflict",
      message: `conflict with ${owner}`,
      field: path,
    })),
  );
  return applyConflict(causes, conflictText(found, causes.length));
}

function conflictText(
  found: readonly { readonly owner: string; readonly paths: readonly string[] }[],
  count: number,
): string {
  const [first] = found;
  if (count === 1 && first !== undefined) {
    return `Apply failed with 1 conflict: conflict with ${first.owner}: ${first.paths[0] ?? ""}`;
  }
  const parts = found.map(({ owner, paths }) => {
    const lines = paths.map((path) => `- ${path}`);
    return `conflicts with ${owner}:\n${lines.join("\n")}`;
  });
  return `Apply failed with ${count} conflicts: ${parts.join("\n")}`;
}

function ownerText({ manager, operation, apiVersion, subresource }: ManagedEntry): string {
  const through = subresource === "" ? "" : ` with subresource ${goQuote(subresource)}`;
  const version = operation === "Update" ? ` using ${apiVersion}` : "";
  return `${goQuote(manager)}${through}${version}`;
}
