import { pullPolicyFor } from "./image-tag.ts";
import type {
  AzureDiskVolumeSource,
  DownwardAPIVolumeFile,
  HostPathVolumeSource,
  PersistentVolumeClaimSpec,
  ProjectedVolumeSource,
  Volume,
} from "./types.ts";

/** Files of projected volumes are readable by all and writable by their owner: octal 0644. */
const DEFAULT_MODE = 0o644;
const DEFAULT_TOKEN_SECONDS = 3600;

/** Fills in a volume of a pod; one without a source is an empty directory. */
export function defaultVolume(volume: Volume): void {
  if (Object.keys(volume).every((field) => field === "name")) volume.emptyDir = {};
  if (volume.secret !== undefined) volume.secret.defaultMode ??= DEFAULT_MODE;
  if (volume.configMap !== undefined) volume.configMap.defaultMode ??= DEFAULT_MODE;
  if (volume.downwardAPI !== undefined) {
    volume.downwardAPI.defaultMode ??= DEFAULT_MODE;
    defaultDownwardItems(volume.downwardAPI.items);
  }
  if (volume.projected !== undefined) defaultProjected(volume.projected);
  if (volume.hostPath !== undefined) defaultHostPath(volume.hostPath);
  if (volume.image !== undefined) {
    volume.image.pullPolicy ||= pullPolicyFor(volume.image.reference ?? "");
  }
  if (volume.ephemeral?.volumeClaimTemplate !== undefined) {
    defaultClaimSpec(volume.ephemeral.volumeClaimTemplate.spec);
  }
  if (volume.iscsi !== undefined) volume.iscsi.iscsiInterface ||= "default";
  if (volume.azureDisk !== undefined) defaultAzureDisk(volume.azureDisk);
  if (volume.rbd !== undefined) defaultRbd(volume.rbd);
  if (volume.scaleIO !== undefined) defaultScaleIo(volume.scaleIO);
}

export function defaultClaimSpec(spec: PersistentVolumeClaimSpec): void {
  spec.volumeMode ??= "Filesystem";
}

export function defaultHostPath(source: HostPathVolumeSource): void {
  source.type ??= "";
}

export function defaultAzureDisk(source: AzureDiskVolumeSource): void {
  source.cachingMode ??= "ReadWrite";
  source.fsType ??= "ext4";
  source.kind ??= "Shared";
  source.readOnly ??= false;
}

export function defaultRbd(source: { pool?: string; user?: string; keyring?: string }): void {
  source.pool ||= "rbd";
  source.user ||= "admin";
  source.keyring ||= "/etc/ceph/keyring";
}

export function defaultScaleIo(source: { storageMode?: string; fsType?: string }): void {
  source.storageMode ||= "ThinProvisioned";
  source.fsType ||= "xfs";
}

function defaultProjected(volume: ProjectedVolumeSource): void {
  volume.defaultMode ??= DEFAULT_MODE;
  for (const source of volume.sources ?? []) {
    if (source.serviceAccountToken !== undefined) {
      source.serviceAccountToken.expirationSeconds ??= DEFAULT_TOKEN_SECONDS;
    }
    defaultDownwardItems(source.downwardAPI?.items);
  }
}

function defaultDownwardItems(items: readonly DownwardAPIVolumeFile[] | undefined): void {
  for (const item of items ?? []) {
    if (item.fieldRef !== undefined) item.fieldRef.apiVersion ||= "v1";
    if (item.resourceFieldRef !== undefined) item.resourceFieldRef.divisor ||= "0";
  }
}
