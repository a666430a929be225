import { createHash } from "node:crypto";
import {
  type Container,
  type Pod,
  type PodSpec,
  type ServiceAccount,
  SERVICE_ACCOUNTS,
  type Volume,
} from "../../api/index.ts";
import { forbidden } from "../../apimachinery/index.ts";
import type { Lookup } from "../lookup.ts";
import type { PodDefaults } from "./pod-defaults.ts";

const PODS = { group: "", resource: "pods" };
const DEFAULT_ACCOUNT = "default";
/** An agent's own pods have no account. */
const MIRROR = "kubernetes.io/config.mirror";
const MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount";
const VOLUME_PREFIX = "kube-api-access-";
const ROOT_CA = "kube-root-ca.crt";
/** An hour and a little: by that other parts know a token that nobody chose the lifetime of. */
const TOKEN_SECONDS = 3607;
const FILE_MODE = 0o644;
/** Kubernetes' letters for generated names: without vowels, that no word comes out. */
const NAME_LETTERS = "bcdfghjklmnpqrstvwxz2456789";
const NAME_LENGTH = 5;

/**
 * Gives a pod its account, the account's image pull secrets, and the volume by which its programs
 * reach the API: a token, the authority's certificate and the namespace. A second time it changes
 * nothing. Throws 403 when the account is not there.
 */
export function admitServiceAccount(
  pod: Pod,
  spec: PodSpec,
  lookup: Pick<Lookup, "find">,
  { accountTokens }: Pick<PodDefaults, "accountTokens">,
): void {
  if (pod.metadata.annotations?.[MIRROR] !== undefined) return;
  spec.serviceAccountName ||= spec.serviceAccount || DEFAULT_ACCOUNT;
  spec.serviceAccount = spec.serviceAccountName;
  const { namespace = "" } = pod.metadata;
  const name = spec.serviceAccountName;
  const account = lookup.find(SERVICE_ACCOUNTS, namespace, name);
  // Its controller makes the default account a moment after the namespace: no reason to refuse.
  if (account === undefined && name !== DEFAULT_ACCOUNT) {
    const missing = `serviceaccount "${name}" not found`;
    const why = `error looking up service account ${namespace}/${name}: ${missing}`;
    throw forbidden(PODS, pod.metadata.name ?? pod.metadata.generateName ?? "", why);
  }
  if ((spec.imagePullSecrets ?? []).length === 0) {
    const secrets = account?.imagePullSecrets ?? [];
    if (secrets.length > 0) spec.imagePullSecrets = secrets.map((secret) => ({ ...secret }));
    else delete spec.imagePullSecrets;
  }
  if (accountTokens === "mounted" && isMounted(spec, account)) mountToken(pod, spec);
}

/** The pod's word counts before the account's. */
function isMounted(spec: PodSpec, account: Readonly<ServiceAccount> | undefined): boolean {
  return spec.automountServiceAccountToken ?? account?.automountServiceAccountToken ?? true;
}

function mountToken(pod: Pod, spec: PodSpec): void {
  const present = (spec.volumes ?? []).find(
    ({ name, projected }) => name.startsWith(VOLUME_PREFIX) && projected !== undefined,
  );
  const name = present?.name ?? VOLUME_PREFIX + suffixOf(pod);
  const without = [...(spec.initContainers ?? []), ...(spec.containers ?? [])].filter(
    (container) => !mounts(container, MOUNT_PATH),
  );
  for (const container of without) {
    const mount = { name, mountPath: MOUNT_PATH, readOnly: true };
    container.volumeMounts = [...(container.volumeMounts ?? []), mount];
  }
  if (present === undefined && without.length > 0) {
    spec.volumes = [...(spec.volumes ?? []), tokenVolume(name)];
  }
}

function mounts({ volumeMounts = [] }: Container, path: string): boolean {
  return volumeMounts.some(({ mountPath }) => mountPath === path);
}

function tokenVolume(name: string): Volume {
  const fieldRef = { apiVersion: "v1", fieldPath: "metadata.namespace" };
  return {
    name,
    projected: {
      sources: [
        { serviceAccountToken: { expirationSeconds: TOKEN_SECONDS, path: "token" } },
        { configMap: { name: ROOT_CA, items: [{ key: "ca.crt", path: "ca.crt" }] } },
        { downwardAPI: { items: [{ path: "namespace", fieldRef }] } },
      ],
      defaultMode: FILE_MODE,
    },
  };
}

/** Names need to differ within a pod only; from the uid, so that admission draws no lots. */
function suffixOf({ metadata }: Pod): string {
  const hash = createHash("sha256")
    .update(metadata.uid ?? "")
    .digest();
  return [...hash.subarray(0, NAME_LENGTH)]
    .map((byte) => NAME_LETTERS[byte % NAME_LETTERS.length] ?? "")
    .join("");
}
