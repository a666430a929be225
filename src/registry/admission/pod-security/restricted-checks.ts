import type { Volume } from "../../../api/index.ts";
import {
  type CheckedPod,
  containersThat,
  named,
  plural,
  podOr,
  quoted,
  type SecurityCheck,
  setters,
  sorted,
} from "./violation.ts";

const ALLOWED_VOLUMES: ReadonlySet<string> = new Set([
  "configMap",
  "csi",
  "downwardAPI",
  "emptyDir",
  "ephemeral",
  "image",
  "persistentVolumeClaim",
  "projected",
  "secret",
]);

export const checkEscalation: SecurityCheck = (pod) => {
  if (isWindows(pod)) return undefined;
  const bad = containersThat(pod, (context) => context?.allowPrivilegeEscalation !== false);
  if (bad.length === 0) return undefined;
  const who = named("container", "containers", bad);
  const detail = `${who} must set securityContext.allowPrivilegeEscalation=false`;
  return { reason: "allowPrivilegeEscalation != false", detail };
};

export const checkDroppedCapabilities: SecurityCheck = (pod) => {
  if (isWindows(pod)) return undefined;
  const kept = containersThat(pod, (context) => !context?.capabilities?.drop?.includes("ALL"));
  const isBad = (name: string): boolean => name !== "NET_BIND_SERVICE";
  const adding = pod.containers.filter(({ securityContext }) =>
    securityContext?.capabilities?.add?.some(isBad),
  );
  const details: string[] = [];
  if (kept.length > 0) {
    const who = named("container", "containers", kept);
    details.push(`${who} must set securityContext.capabilities.drop=["ALL"]`);
  }
  if (adding.length > 0) {
    const who = named(
      "container",
      "containers",
      adding.map(({ name }) => name),
    );
    const added = adding.flatMap(({ securityContext }) => securityContext?.capabilities?.add ?? []);
    const what = quoted(sorted(added.filter(isBad)));
    details.push(`${who} must not include ${what} in securityContext.capabilities.add`);
  }
  if (details.length === 0) return undefined;
  return { reason: "unrestricted capabilities", detail: details.join("; ") };
};

export const checkVolumeTypes: SecurityCheck = ({ spec }) => {
  const bad = (spec.volumes ?? []).filter((volume) => !ALLOWED_VOLUMES.has(volumeType(volume)));
  if (bad.length === 0) return undefined;
  const types = sorted(bad.map(volumeType));
  const who = named(
    "volume",
    "volumes",
    bad.map(({ name }) => name),
  );
  const what = named("restricted volume type", "restricted volume types", types);
  const detail = `${who} ${plural("uses", "use", bad)} ${what}`;
  return { reason: "restricted volume types", detail };
};

function volumeType(volume: Volume): string {
  return Object.keys(volume).find((field) => field !== "name") ?? "unknown";
}

export const checkNonRoot: SecurityCheck = (pod) => {
  const reason = "runAsNonRoot != true";
  const own = pod.spec.securityContext?.runAsNonRoot;
  const saying = containersThat(pod, (context) => context?.runAsNonRoot === false);
  const silent = containersThat(pod, (context) => context?.runAsNonRoot === undefined);
  // A pod's word counts only for containers that say nothing themselves.
  const podIsBad = own === false && (silent.length > 0 || pod.containers.length === 0);
  const who = setters(podIsBad ? "pod" : undefined, saying);
  if (who !== "") {
    return { reason, detail: `${who} must not set securityContext.runAsNonRoot=false` };
  }
  if (silent.length === 0 || own === true) return undefined;
  return { reason, detail: `${podOr(silent)} must set securityContext.runAsNonRoot=true` };
};

export const checkUser: SecurityCheck = (pod) => {
  const own = pod.spec.securityContext?.runAsUser === 0;
  const bad = containersThat(pod, (context) => context?.runAsUser === 0);
  const who = setters(own ? "pod" : undefined, bad);
  return who === ""
    ? undefined
    : { reason: "runAsUser=0", detail: `${who} must not set runAsUser=0` };
};

export const checkSeccompSet: SecurityCheck = (pod) => {
  if (isWindows(pod)) return undefined;
  const reason = "seccompProfile";
  const isGood = (type: string | undefined): boolean =>
    type === "RuntimeDefault" || type === "Localhost";
  const own = pod.spec.securityContext?.seccompProfile?.type;
  const typeOf = (type: string | undefined): boolean => type !== undefined && !isGood(type);
  const saying = containersThat(pod, (context) => typeOf(context?.seccompProfile?.type));
  const silent = containersThat(pod, (context) => context?.seccompProfile?.type === undefined);
  const who = setters(typeOf(own) ? "pod" : undefined, saying);
  if (who !== "") {
    const types = pod.containers.map((one) => one.securityContext?.seccompProfile?.type);
    const bad = sorted(
      [own, ...types].filter((type) => type !== undefined && !isGood(type)).map(String),
    );
    const detail = `${who} must not set securityContext.seccompProfile.type to ${quoted(bad)}`;
    return { reason, detail };
  }
  if (silent.length === 0 || isGood(own)) return undefined;
  const what = 'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"';
  return { reason, detail: `${podOr(silent)} must set ${what}` };
};

function isWindows({ spec }: CheckedPod): boolean {
  return spec.os?.name === "windows";
}
