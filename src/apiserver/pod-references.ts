import type { Container, Pod, PodSpec, Volume } from "../api/index.ts";
import { KEYVALUE_STORES_ANNOTATION } from "./keyvalue/store-access.ts";

/** Whether a pod needs an object of its namespace to run: what its node must be able to read. */
export function podUses(
  { metadata, spec }: Readonly<Pod>,
  resource: string,
  name: string,
): boolean {
  if (spec === undefined) return false;
  switch (resource) {
    case "secrets":
      return secretsOf(spec).includes(name);
    case "configmaps":
      return configMapsOf(spec).includes(name);
    case "serviceaccounts":
      return spec.serviceAccountName === name;
    case "persistentvolumeclaims":
      return claimsOf(metadata.name ?? "", spec).includes(name);
    default:
      return false;
  }
}

/** What a pod refers to, for the message that refuses it; undefined when it stands alone. */
export function podUsesAny({ metadata, spec }: Readonly<Pod>): string | undefined {
  // A node that could write the annotation would grant itself what the store holds.
  if ((metadata.annotations?.[KEYVALUE_STORES_ANNOTATION] ?? "") !== "") return "key-value stores";
  if (spec === undefined) return undefined;
  const some = (names: readonly (string | undefined)[]): boolean =>
    names.some((name) => name !== undefined && name !== "");
  if (some([spec.serviceAccountName, spec["serviceAccount"]])) return "a service account";
  if (some(secretsOf(spec))) return "secrets";
  if (some(configMapsOf(spec))) return "configmaps";
  if (some(claimsOf(metadata.name ?? "", spec))) return "persistentvolumeclaims";
  return undefined;
}

function secretsOf(spec: PodSpec): (string | undefined)[] {
  return [
    ...(spec.imagePullSecrets ?? []).map((reference) => reference.name),
    ...containersOf(spec).flatMap(({ env = [], envFrom = [] }) => [
      ...env.map(({ valueFrom }) => valueFrom?.secretKeyRef?.name),
      ...envFrom.map(({ secretRef }) => secretRef?.name),
    ]),
    ...(spec.volumes ?? []).flatMap(secretsOfVolume),
  ];
}

function secretsOfVolume(volume: Volume): (string | undefined)[] {
  return [
    volume.secret?.secretName,
    ...(volume.projected?.sources ?? []).map(({ secret }) => secret?.name),
    volume.azureFile?.secretName,
    volume.cephfs?.secretRef?.name,
    volume.csi?.nodePublishSecretRef?.name,
    volume.flexVolume?.secretRef?.name,
    volume.iscsi?.secretRef?.name,
    volume.rbd?.secretRef?.name,
    volume.scaleIO?.secretRef?.name,
    volume.storageos?.secretRef?.name,
  ];
}

function configMapsOf(spec: PodSpec): (string | undefined)[] {
  return [
    ...containersOf(spec).flatMap(({ env = [], envFrom = [] }) => [
      ...env.map(({ valueFrom }) => valueFrom?.configMapKeyRef?.name),
      ...envFrom.map(({ configMapRef }) => configMapRef?.name),
    ]),
    ...(spec.volumes ?? []).flatMap(({ configMap, projected }) => [
      configMap?.name,
      ...(projected?.sources ?? []).map((source) => source.configMap?.name),
    ]),
  ];
}

function claimsOf(podName: string, spec: PodSpec): (string | undefined)[] {
  return (spec.volumes ?? []).map(({ name, persistentVolumeClaim, ephemeral }) =>
    ephemeral === undefined ? persistentVolumeClaim?.claimName : `${podName}-${name}`,
  );
}

/** A node may send anything: admission looks before the schema does. */
function containersOf(spec: Partial<PodSpec>): Pick<Container, "env" | "envFrom">[] {
  const { containers = [], initContainers = [], ephemeralContainers = [] } = spec;
  return [...containers, ...initContainers, ...ephemeralContainers];
}
