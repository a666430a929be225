import type { KubeObject } from "../../../apimachinery/index.ts";
import type { TableColumn } from "../../kind-logic.ts";
import { column, wide } from "../../table-columns.ts";
import type { PodTemplateSpec } from "./types.ts";

/** Names and images of a workload's containers: the wide columns every workload has. */
export function templateColumns<T extends KubeObject>(
  templateOf: (object: T) => PodTemplateSpec | undefined,
): [containers: TableColumn<T>, images: TableColumn<T>] {
  const containersOf = (object: T) => templateOf(object)?.spec?.containers ?? [];
  return [
    wide(
      column("Containers", "Names of the containers in the pod template.", (object) =>
        containersOf(object)
          .map((container) => container.name)
          .join(","),
      ),
    ),
    wide(
      column("Images", "Images of the containers in the pod template.", (object) =>
        containersOf(object)
          .map((container) => container.image ?? "")
          .join(","),
      ),
    ),
  ];
}
