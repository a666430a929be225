import type { PersistentVolume, PersistentVolumeClaim } from "./types.ts";
import {
  defaultAzureDisk,
  defaultClaimSpec,
  defaultHostPath,
  defaultRbd,
  defaultScaleIo,
} from "./volume-defaults.ts";

export function defaultPersistentVolume(volume: PersistentVolume): void {
  const spec = (volume.spec ??= {});
  const status = (volume.status ??= {});
  status.phase ||= "Pending";
  spec.persistentVolumeReclaimPolicy ||= "Retain";
  spec.volumeMode ??= "Filesystem";
  if (spec.hostPath !== undefined) defaultHostPath(spec.hostPath);
  if (spec.azureDisk !== undefined) defaultAzureDisk(spec.azureDisk);
  if (spec.rbd !== undefined) defaultRbd(spec.rbd);
  if (spec.scaleIO !== undefined) defaultScaleIo(spec.scaleIO);
  if (spec.iscsi !== undefined) spec.iscsi.iscsiInterface ||= "default";
}

export function defaultPersistentVolumeClaim(claim: PersistentVolumeClaim): void {
  const status = (claim.status ??= {});
  status.phase ||= "Pending";
  const spec = (claim.spec ??= {});
  defaultClaimSpec(spec);
  // The two ways to name a data source are kept alike, where the older one can say it.
  const { dataSource, dataSourceRef } = spec;
  if (dataSource !== undefined && dataSourceRef === undefined) {
    spec.dataSourceRef = { ...dataSource };
  } else if (
    dataSource === undefined &&
    dataSourceRef !== undefined &&
    dataSourceRef.namespace === undefined
  ) {
    spec.dataSource = { ...dataSourceRef };
  }
}
