import type { TableColumn } from "../../kind-logic.ts";
import { AGE_COLUMN, column, NAME_COLUMN, wide } from "../../table-columns.ts";
import type { ClusterRoleBinding, RoleBinding, Subject } from "./types.ts";

type Binding = RoleBinding | ClusterRoleBinding;

export const bindingColumns: readonly TableColumn<Binding>[] = [
  NAME_COLUMN,
  column(
    "Role",
    "Role it grants.",
    ({ roleRef }) => `${roleRef?.kind ?? ""}/${roleRef?.name ?? ""}`,
  ),
  AGE_COLUMN,
  wide(column("Users", "Users it is granted to.", (binding) => subjectsText(binding, "User"))),
  wide(column("Groups", "Groups it is granted to.", (binding) => subjectsText(binding, "Group"))),
  wide(
    column("ServiceAccounts", "Service accounts it is granted to.", (binding) =>
      subjectsText(binding, "ServiceAccount"),
    ),
  ),
];

function subjectsText({ subjects }: Binding, kind: string): string {
  return (subjects ?? [])
    .filter((subject) => subject.kind === kind)
    .map(subjectText)
    .join(", ");
}

function subjectText({ kind, namespace, name }: Subject): string {
  return kind === "ServiceAccount" ? `${namespace ?? ""}/${name}` : name;
}
