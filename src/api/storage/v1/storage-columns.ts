import type { KubeObject } from "../../../apimachinery/index.ts";
import type { TableColumn } from "../../kind-logic.ts";
import { AGE_COLUMN, column, NAME_COLUMN, typed, UNSET } from "../../table-columns.ts";
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  StorageClass,
  VolumeAttachment,
  VolumeAttributesClass,
} from "./types.ts";

const DEFAULT_CLASS_ANNOTATION = "storageclass.kubernetes.io/is-default-class";

/** The name, and whether it is the one taken when a claim names none. */
const CLASS_NAME_COLUMN: TableColumn<KubeObject> = {
  ...NAME_COLUMN,
  cell: ({ metadata }) =>
    metadata.annotations?.[DEFAULT_CLASS_ANNOTATION] === "true"
      ? `${metadata.name ?? ""} (default)`
      : (metadata.name ?? ""),
};

export const storageClassColumns: readonly TableColumn<StorageClass>[] = [
  CLASS_NAME_COLUMN,
  column("Provisioner", "Who makes the volumes.", ({ provisioner }) => provisioner ?? ""),
  column(
    "ReclaimPolicy",
    "What becomes of a volume when its claim goes.",
    ({ reclaimPolicy }) => reclaimPolicy ?? "Delete",
  ),
  column(
    "VolumeBindingMode",
    "When a volume is chosen.",
    ({ volumeBindingMode }) => volumeBindingMode ?? "Immediate",
  ),
  column(
    "AllowVolumeExpansion",
    "Whether volumes can grow.",
    ({ allowVolumeExpansion }) => allowVolumeExpansion ?? false,
  ),
  AGE_COLUMN,
];

export const volumeAttributesClassColumns: readonly TableColumn<VolumeAttributesClass>[] = [
  CLASS_NAME_COLUMN,
  column("DriverName", "Driver that knows the attributes.", ({ driverName }) => driverName ?? ""),
  AGE_COLUMN,
];

export const volumeAttachmentColumns: readonly TableColumn<VolumeAttachment>[] = [
  NAME_COLUMN,
  {
    ...column<VolumeAttachment>("Attacher", "Who attaches it.", ({ spec }) => spec?.attacher ?? ""),
    format: "name",
  },
  column("PV", "Volume it is about.", ({ spec }) => spec?.source?.persistentVolumeName ?? ""),
  column("Node", "Node it is attached to.", ({ spec }) => spec?.nodeName ?? ""),
  typed(
    "boolean",
    column("Attached", "Whether it is attached.", ({ status }) => status?.attached ?? false),
  ),
  AGE_COLUMN,
];

export const csiNodeColumns: readonly TableColumn<CSINode>[] = [
  NAME_COLUMN,
  typed(
    "integer",
    column("Drivers", "Drivers on the node.", ({ spec }) => spec?.drivers?.length ?? 0),
  ),
  AGE_COLUMN,
];

export const csiDriverColumns: readonly TableColumn<CSIDriver>[] = [
  NAME_COLUMN,
  typed(
    "boolean",
    column(
      "AttachRequired",
      "Whether volumes are attached.",
      (driver) => driver.spec?.attachRequired ?? true,
    ),
  ),
  typed(
    "boolean",
    column(
      "PodInfoOnMount",
      "Whether it is told the pod.",
      (driver) => driver.spec?.podInfoOnMount ?? false,
    ),
  ),
  typed(
    "boolean",
    column(
      "StorageCapacity",
      "Whether its capacity counts.",
      (driver) => driver.spec?.storageCapacity ?? false,
    ),
  ),
  column("TokenRequests", "Audiences it gets tokens for.", ({ spec }) =>
    (spec?.tokenRequests?.length ?? 0) === 0
      ? UNSET
      : (spec?.tokenRequests ?? []).map(({ audience }) => audience).join(","),
  ),
  typed(
    "boolean",
    column(
      "RequiresRepublish",
      "Whether mounts are renewed.",
      (driver) => driver.spec?.requiresRepublish ?? false,
    ),
  ),
  column("Modes", "Lifecycles of its volumes.", ({ spec }) =>
    (spec?.volumeLifecycleModes ?? []).join(","),
  ),
  AGE_COLUMN,
];

export const csiStorageCapacityColumns: readonly TableColumn<CSIStorageCapacity>[] = [
  NAME_COLUMN,
  column(
    "StorageClassName",
    "Class it is about.",
    ({ storageClassName }) => storageClassName ?? "",
  ),
  column("Capacity", "What is left.", ({ capacity }) => capacity ?? "<nil>"),
];
