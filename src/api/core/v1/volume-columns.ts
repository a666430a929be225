import { orUnset } from "../../cell-text.ts";
import type { TableColumn } from "../../kind-logic.ts";
import { AGE_COLUMN, column, NAME_COLUMN, wide } from "../../table-columns.ts";
import type { PersistentVolume, PersistentVolumeClaim } from "./types.ts";

/** Where the class of a volume or claim stood before it was a field. */
const CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class";

const ACCESS_MODES: readonly (readonly [mode: string, short: string])[] = [
  ["ReadWriteOnce", "RWO"],
  ["ReadOnlyMany", "ROX"],
  ["ReadWriteMany", "RWX"],
  ["ReadWriteOncePod", "RWOP"],
];

export const persistentVolumeColumns: readonly TableColumn<PersistentVolume>[] = [
  NAME_COLUMN,
  column("Capacity", "Size of the volume.", ({ spec }) => spec?.capacity?.storage ?? ""),
  column("Access Modes", "Ways it can be mounted.", ({ spec }) => modesText(spec?.accessModes)),
  column(
    "Reclaim Policy",
    "What becomes of it when its claim goes.",
    ({ spec }) => spec?.persistentVolumeReclaimPolicy ?? "",
  ),
  column("Status", "Available, Bound, Released or Failed.", phaseText),
  column("Claim", "Claim it is bound to.", ({ spec }) =>
    spec?.claimRef === undefined
      ? ""
      : `${spec.claimRef.namespace ?? ""}/${spec.claimRef.name ?? ""}`,
  ),
  column("StorageClass", "Class it belongs to.", classText),
  column("VolumeAttributesClass", "Attributes class applied to it.", ({ spec }) =>
    orUnset(spec?.volumeAttributesClassName),
  ),
  column("Reason", "Why it is in this state.", ({ status }) => status?.reason ?? ""),
  AGE_COLUMN,
  wide(
    column("VolumeMode", "File system or raw block device.", ({ spec }) =>
      orUnset(spec?.volumeMode),
    ),
  ),
];

export const persistentVolumeClaimColumns: readonly TableColumn<PersistentVolumeClaim>[] = [
  NAME_COLUMN,
  column("Status", "Pending, Bound or Lost.", phaseText),
  column("Volume", "Volume it is bound to.", ({ spec }) => spec?.volumeName ?? ""),
  column("Capacity", "Size of the bound volume.", ({ spec, status }) =>
    spec?.volumeName ? (status?.capacity?.storage ?? "") : "",
  ),
  column("Access Modes", "Ways it can be mounted.", ({ spec, status }) =>
    spec?.volumeName ? modesText(status?.accessModes) : "",
  ),
  column("StorageClass", "Class it asks for.", classText),
  column("VolumeAttributesClass", "Attributes class it asks for.", ({ spec }) =>
    orUnset(spec?.volumeAttributesClassName),
  ),
  AGE_COLUMN,
  wide(
    column("VolumeMode", "File system or raw block device.", ({ spec }) =>
      orUnset(spec?.volumeMode),
    ),
  ),
];

function modesText(modes: readonly string[] | undefined): string {
  return ACCESS_MODES.filter(([mode]) => modes?.includes(mode))
    .map(([, short]) => short)
    .join(",");
}

function phaseText({ metadata, status }: PersistentVolume | PersistentVolumeClaim): string {
  return metadata.deletionTimestamp === undefined ? (status?.phase ?? "") : "Terminating";
}

function classText({ metadata, spec }: PersistentVolume | PersistentVolumeClaim): string {
  return metadata.annotations?.[CLASS_ANNOTATION] ?? spec?.storageClassName ?? "";
}
