import type { Container, LifecycleHandler, SELinuxOptions } from "../../../api/index.ts";
import {
  containersThat,
  named,
  plural,
  quoted,
  type SecurityCheck,
  setters,
  sorted,
} from "./violation.ts";

const APP_ARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/";
const DEFAULT_CAPABILITIES: ReadonlySet<string> = new Set([
  "AUDIT_WRITE",
  "CHOWN",
  "DAC_OVERRIDE",
  "FOWNER",
  "FSETID",
  "KILL",
  "MKNOD",
  "NET_BIND_SERVICE",
  "SETFCAP",
  "SETGID",
  "SETPCAP",
  "SETUID",
  "SYS_CHROOT",
]);
const SELINUX_TYPES: ReadonlySet<string> = new Set([
  "",
  "container_t",
  "container_init_t",
  "container_kvm_t",
  "container_engine_t",
]);
const SAFE_SYSCTLS: ReadonlySet<string> = new Set([
  "kernel.shm_rmid_forced",
  "net.ipv4.ip_local_port_range",
  "net.ipv4.ip_local_reserved_ports",
  "net.ipv4.ip_unprivileged_port_start",
  "net.ipv4.ping_group_range",
  "net.ipv4.tcp_fin_timeout",
  "net.ipv4.tcp_keepalive_intvl",
  "net.ipv4.tcp_keepalive_probes",
  "net.ipv4.tcp_keepalive_time",
  "net.ipv4.tcp_rmem",
  "net.ipv4.tcp_syncookies",
  "net.ipv4.tcp_wmem",
]);

export const checkAppArmor: SecurityCheck = (pod) => {
  const annotations = Object.entries(pod.metadata.annotations ?? {});
  const foreign = annotations.filter(
    ([key, value]) =>
      key.startsWith(APP_ARMOR_ANNOTATION) &&
      !(value === "" || value === "runtime/default" || value.startsWith("localhost/")),
  );
  const isBad = (type: string | undefined): boolean =>
    type !== undefined && type !== "RuntimeDefault" && type !== "Localhost";
  const own = pod.spec.securityContext?.appArmorProfile?.type;
  const containers = containersThat(pod, (context) => isBad(context?.appArmorProfile?.type));
  const who = setters(isBad(own) ? "pod" : undefined, containers);
  const types = pod.containers.map(({ securityContext }) => securityContext?.appArmorProfile?.type);
  const bad = sorted([own, ...types].filter((type) => type !== undefined).filter(isBad));
  const values = foreign.map(([key, value]) => `${key}=${JSON.stringify(value)}`).sort();
  const texts = [
    ...(who === "" ? [] : [`${who} must not set AppArmor profile type to ${quoted(bad)}`]),
    ...(values.length === 0
      ? []
      : [`${plural("annotation", "annotations", values)} ${values.join(", ")}`]),
  ];
  if (texts.length === 0) return undefined;
  const count = [...bad, ...values];
  const reason = plural("forbidden AppArmor profile", "forbidden AppArmor profiles", count);
  return { reason, detail: texts.join(" and ") };
};

export const checkCapabilities: SecurityCheck = ({ containers }) => {
  const addedBy = ({ securityContext }: Container): string[] =>
    (securityContext?.capabilities?.add ?? []).filter((name) => !DEFAULT_CAPABILITIES.has(name));
  const bad = containers.filter((container) => addedBy(container).length > 0);
  if (bad.length === 0) return undefined;
  const who = named(
    "container",
    "containers",
    bad.map(({ name }) => name),
  );
  const what = quoted(sorted(bad.flatMap(addedBy)));
  return {
    reason: "non-default capabilities",
    detail: `${who} must not include ${what} in securityContext.capabilities.add`,
  };
};

export const checkHostNamespaces: SecurityCheck = ({ spec }) => {
  const fields = (["hostNetwork", "hostPID", "hostIPC"] as const).filter((name) => spec[name]);
  if (fields.length === 0) return undefined;
  const detail = fields.map((name) => `${name}=true`).join(", ");
  return { reason: "host namespaces", detail };
};

export const checkHostPaths: SecurityCheck = ({ spec }) => {
  const bad = (spec.volumes ?? []).filter(({ hostPath }) => hostPath !== undefined);
  if (bad.length === 0) return undefined;
  const detail = named(
    "volume",
    "volumes",
    bad.map(({ name }) => name),
  );
  return { reason: "hostPath volumes", detail };
};

export const checkHostPorts: SecurityCheck = ({ containers }) => {
  const portsOf = ({ ports = [] }: Container): number[] =>
    ports.map(({ hostPort }) => hostPort ?? 0).filter((port) => port !== 0);
  const bad = containers.filter((container) => portsOf(container).length > 0);
  if (bad.length === 0) return undefined;
  const ports = sorted(bad.flatMap(portsOf).map(String));
  const who = named(
    "container",
    "containers",
    bad.map(({ name }) => name),
  );
  const what = `${plural("hostPort", "hostPorts", ports)} ${ports.join(", ")}`;
  return { reason: "hostPort", detail: `${who} ${plural("uses", "use", bad)} ${what}` };
};

export const checkProbeHosts: SecurityCheck = ({ containers }) => {
  const bad = containers.filter((container) => hostsOf(container).length > 0);
  if (bad.length === 0) return undefined;
  const hosts = sorted(bad.flatMap(hostsOf));
  const who = named("container", "containers", sorted(bad.map(({ name }) => name)));
  const what = named("probe or lifecycle host", "probe or lifecycle hosts", hosts);
  const detail = `${who} ${plural("uses", "use", bad)} ${what}`;
  return { reason: "probe or lifecycle host", detail };
};

function hostsOf(container: Container): string[] {
  const { livenessProbe, readinessProbe, startupProbe, lifecycle } = container;
  const handlers: (LifecycleHandler | undefined)[] = [
    livenessProbe,
    readinessProbe,
    startupProbe,
    lifecycle?.postStart,
    lifecycle?.preStop,
  ];
  return handlers
    .flatMap((handler) => [handler?.httpGet?.host ?? "", handler?.tcpSocket?.host ?? ""])
    .filter((host) => host !== "");
}

export const checkPrivileged: SecurityCheck = (pod) => {
  const bad = containersThat(pod, (context) => context?.privileged === true);
  if (bad.length === 0) return undefined;
  const who = named("container", "containers", bad);
  return { reason: "privileged", detail: `${who} must not set securityContext.privileged=true` };
};

export const checkProcMount: SecurityCheck = (pod) => {
  const isBad = (mount: string | undefined): mount is string =>
    mount !== undefined && mount !== "Default";
  const bad = containersThat(pod, (context) => isBad(context?.procMount));
  if (bad.length === 0) return undefined;
  const mounts = pod.containers.map(({ securityContext }) => securityContext?.procMount);
  const who = named("container", "containers", bad);
  const what = quoted(sorted(mounts.filter(isBad)));
  return {
    reason: "procMount",
    detail: `${who} must not set securityContext.procMount to ${what}`,
  };
};

export const checkSeLinux: SecurityCheck = (pod) => {
  const isBad = (options: SELinuxOptions | undefined): boolean =>
    !SELINUX_TYPES.has(options?.type ?? "") || Boolean(options?.user) || Boolean(options?.role);
  const own = pod.spec.securityContext?.seLinuxOptions;
  const containers = containersThat(pod, (context) => isBad(context?.seLinuxOptions));
  const who = setters(isBad(own) ? "pod" : undefined, containers);
  if (who === "") return undefined;
  const options = pod.containers.map(({ securityContext }) => securityContext?.seLinuxOptions);
  const all = [own, ...options];
  const types = sorted(
    all.map((one) => one?.type ?? "").filter((type) => !SELINUX_TYPES.has(type)),
  );
  const what = [
    ...(types.length === 0 ? [] : [named("type", "types", types)]),
    ...(all.some((one) => one?.user) ? ["user may not be set"] : []),
    ...(all.some((one) => one?.role) ? ["role may not be set"] : []),
  ].join("; ");
  const detail = `${who} set forbidden securityContext.seLinuxOptions: ${what}`;
  return { reason: "seLinuxOptions", detail };
};

export const checkSeccomp: SecurityCheck = (pod) => {
  const isBad = (type: string | undefined): boolean =>
    type !== undefined && type !== "RuntimeDefault" && type !== "Localhost";
  const own = pod.spec.securityContext?.seccompProfile?.type;
  const containers = containersThat(pod, (context) => isBad(context?.seccompProfile?.type));
  const who = setters(isBad(own) ? "pod" : undefined, containers);
  if (who === "") return undefined;
  const types = pod.containers.map(({ securityContext }) => securityContext?.seccompProfile?.type);
  const bad = sorted([own, ...types].filter((type) => type !== undefined).filter(isBad));
  const detail = `${who} must not set securityContext.seccompProfile.type to ${quoted(bad)}`;
  return { reason: "seccompProfile", detail };
};

export const checkSysctls: SecurityCheck = ({ spec }) => {
  const names = (spec.securityContext?.sysctls ?? []).map(({ name }) => name);
  const bad = names.filter((name) => !SAFE_SYSCTLS.has(name));
  if (bad.length === 0) return undefined;
  return { reason: "forbidden sysctls", detail: bad.join(", ") };
};

export const checkHostProcess: SecurityCheck = (pod) => {
  const own = pod.spec.securityContext?.windowsOptions?.hostProcess === true;
  const bad = containersThat(pod, (context) => context?.windowsOptions?.hostProcess === true);
  const who = setters(own ? "pod" : undefined, bad);
  if (who === "") return undefined;
  const detail = `${who} must not set securityContext.windowsOptions.hostProcess=true`;
  return { reason: "hostProcess", detail };
};
