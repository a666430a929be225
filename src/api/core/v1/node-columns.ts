import { orNone } from "../../cell-text.ts";
import type { TableColumn } from "../../kind-logic.ts";
import { AGE_COLUMN, column, NAME_COLUMN, UNKNOWN, wide } from "../../table-columns.ts";
import type { Node } from "./types.ts";

const ROLE_LABEL_PREFIX = "node-role.kubernetes.io/";
const OLD_ROLE_LABEL = "kubernetes.io/role";

export const nodeColumns: readonly TableColumn<Node>[] = [
  NAME_COLUMN,
  column("Status", "Whether the node is ready, and takes new pods.", statusText),
  column("Roles", "Roles the node's labels give it.", rolesText),
  AGE_COLUMN,
  column("Version", "Version of the node agent.", (node) =>
    node.status?.nodeInfo === undefined ? "" : node.status.nodeInfo.kubeletVersion,
  ),
  wide(column("Internal-IP", "Address inside the cluster.", addressOf("InternalIP"))),
  wide(column("External-IP", "Address outside the cluster.", addressOf("ExternalIP"))),
  wide(
    column(
      "OS-Image",
      "Operating system of the node.",
      (node) => node.status?.nodeInfo?.osImage || UNKNOWN,
    ),
  ),
  wide(
    column(
      "Kernel-Version",
      "Kernel of the node.",
      (node) => node.status?.nodeInfo?.kernelVersion || UNKNOWN,
    ),
  ),
  wide(
    column(
      "Container-Runtime",
      "What runs the containers.",
      (node) => node.status?.nodeInfo?.containerRuntimeVersion || UNKNOWN,
    ),
  ),
];

function statusText(node: Node): string {
  const ready = node.status?.conditions?.find(({ type }) => type === "Ready");
  const status = ready === undefined ? "Unknown" : ready.status === "True" ? "Ready" : "NotReady";
  return node.spec?.unschedulable === true ? `${status},SchedulingDisabled` : status;
}

function rolesText(node: Node): string {
  const roles = new Set<string>();
  for (const [key, value] of Object.entries(node.metadata.labels ?? {})) {
    if (key.startsWith(ROLE_LABEL_PREFIX)) roles.add(key.slice(ROLE_LABEL_PREFIX.length));
    else if (key === OLD_ROLE_LABEL) roles.add(value);
  }
  roles.delete("");
  return orNone([...roles].sort().join(","));
}

function addressOf(type: string): (node: Node) => string {
  return (node) => orNone(node.status?.addresses?.find((each) => each.type === type)?.address);
}
