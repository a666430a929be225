import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Container, Pod } from "../api/index.ts";
import type { Mount } from "../runtime/index.ts";
import { podHostname } from "./pod-hostname.ts";

const HOSTS = "/etc/hosts";
const DEFAULT_TERMINATION_PATH = "/dev/termination-log";

/** The text of a pod's `/etc/hosts`. Pure. */
export function hostsText(
  pod: Pod,
  options: { readonly ip: string; readonly domain: string; readonly machines: string },
): string {
  const aliases = (pod.spec?.hostAliases ?? []).map(({ ip, hostnames = [] }) =>
    [ip, ...hostnames].join("\t"),
  );
  const added = aliases.length === 0 ? [] : ["", "# hostAliases of the pod", ...aliases];
  if (pod.spec?.hostNetwork === true) {
    return `${[options.machines.trimEnd(), ...added].join("\n")}\n`;
  }
  const { hostname, fqdn } = podHostname(pod, options.domain);
  const names = fqdn === undefined || fqdn === hostname ? [hostname] : [fqdn, hostname];
  const lines = [
    "# Kept by Kubun: what is changed here does not last.",
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "fe00::0\tip6-mcastprefix",
    "fe00::1\tip6-allnodes",
    "fe00::2\tip6-allrouters",
    [options.ip, ...names].join("\t"),
  ];
  return `${[...lines, ...added].join("\n")}\n`;
}

/** Writes the pod's `/etc/hosts`, in place, and gives how a container finds it. */
export function hostsMount(
  directory: string,
  pod: Pod,
  options: { readonly ip: string; readonly domain: string },
): Mount {
  const hostPath = join(directory, "etc-hosts");
  const text = hostsText(pod, { ...options, machines: readOrEmpty(HOSTS) });
  mkdirSync(directory, { recursive: true });
  // Running containers have this very file mounted: it is never replaced by another.
  if (readOrEmpty(hostPath) !== text) writeFileSync(hostPath, text, { mode: 0o644 });
  return { guestPath: HOSTS, hostPath, readOnly: false };
}

/** Where one run of a container leaves its last words. */
export function terminationFile(directory: string, name: string, attempt: number): string {
  return join(directory, "containers", name, `${attempt}`);
}

/** Makes the file for the container's last words, and gives how it finds it. */
export function terminationMount(directory: string, container: Container, attempt: number): Mount {
  const hostPath = terminationFile(directory, container.name, attempt);
  mkdirSync(dirname(hostPath), { recursive: true });
  if (!existsSync(hostPath)) writeFileSync(hostPath, "");
  // Whoever the program runs as.
  chmodSync(hostPath, 0o666);
  const guestPath = container.terminationMessagePath ?? DEFAULT_TERMINATION_PATH;
  return { guestPath, hostPath, readOnly: false };
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // Not written yet.
  }
}
