import type { Container, Pod, ResourceFieldSelector } from "../api/index.ts";
import { parseQuantity } from "../apimachinery/index.ts";
import { ConfigError } from "./config-error.ts";

/** Addresses that the pod's status may not tell yet. */
export interface PodAddresses {
  readonly podIp: string;
  readonly hostIp: string;
}

export interface Allocatable {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly ephemeralStorageBytes: number;
}

/** The value behind a downward API `fieldRef`. Throws {@link ConfigError} for unknown paths. */
export function podField(pod: Pod, fieldPath: string, addresses: PodAddresses): string {
  const { metadata, spec } = pod;
  const subscript = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(fieldPath);
  if (subscript !== null) {
    const map = subscript[1] === "labels" ? metadata.labels : metadata.annotations;
    return map?.[subscript[2] ?? ""] ?? "";
  }
  switch (fieldPath) {
    case "metadata.name":
      return metadata.name ?? "";
    case "metadata.namespace":
      return metadata.namespace ?? "";
    case "metadata.uid":
      return metadata.uid ?? "";
    case "metadata.labels":
      return mapText(metadata.labels);
    case "metadata.annotations":
      return mapText(metadata.annotations);
    case "spec.nodeName":
      return spec?.nodeName ?? "";
    case "spec.serviceAccountName":
      return spec?.serviceAccountName ?? "";
    case "status.hostIP":
    case "status.hostIPs":
      return addresses.hostIp;
    case "status.podIP":
    case "status.podIPs":
      return addresses.podIp;
    default:
      throw new ConfigError(`unsupported fieldPath: ${fieldPath}`);
  }
}

/** `key="value"` lines in the order of the keys, as the downward API writes maps. */
function mapText(map: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join("\n");
}

/**
 * The value behind a `resourceFieldRef`, in units of its divisor, rounded up. A limit that is not
 * set is what the node can give. Throws {@link ConfigError}.
 */
export function resourceField(
  container: Container,
  selector: ResourceFieldSelector,
  allocatable: Allocatable,
): string {
  const match = /^(limits|requests)\.(cpu|memory|ephemeral-storage)$/.exec(selector.resource);
  if (match === null) {
    throw new ConfigError(`unsupported container resource: ${selector.resource}`);
  }
  const [, kind, name = ""] = match;
  const { limits, requests } = container.resources ?? {};
  const set = kind === "limits" ? limits?.[name] : (requests?.[name] ?? limits?.[name]);
  const node: Readonly<Record<string, number>> = {
    cpu: allocatable.cpuMillis,
    memory: allocatable.memoryBytes * 1000,
    "ephemeral-storage": allocatable.ephemeralStorageBytes * 1000,
  };
  const unset = kind === "limits" ? (node[name] ?? 0) : 0;
  const amount = set === undefined ? unset : parseQuantity(set).milliValue();
  const divisor = selector.divisor === undefined ? 0 : parseQuantity(selector.divisor).milliValue();
  return `${Math.ceil(amount / (divisor === 0 ? 1000 : divisor))}`;
}
