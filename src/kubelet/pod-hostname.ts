import type { Pod } from "../api/index.ts";

/** What a kernel takes as a host's name. */
const MAX_HOST_NAME = 64;
/** What fits in a name of DNS. */
const MAX_LABEL = 63;

export interface PodHostname {
  /** What `hostname` prints in the pod. */
  readonly hostname: string;
  /** Its whole name in the cluster's DNS, where it has one. */
  readonly fqdn?: string;
}

/**
 * What a pod calls itself. Throws an error with Kubernetes' words when the whole name is wanted
 * (`setHostnameAsFQDN`) and longer than a kernel takes. Pure.
 */
export function podHostname({ metadata, spec }: Pod, clusterDomain: string): PodHostname {
  const given = spec?.hostname ?? "";
  const short = given === "" ? shortened(metadata.name ?? "") : given;
  const { subdomain = "", hostnameOverride } = spec ?? {};
  if (hostnameOverride !== undefined) return { hostname: hostnameOverride };
  if (subdomain === "") return { hostname: short };
  const fqdn = `${short}.${subdomain}.${metadata.namespace}.svc.${clusterDomain}`;
  if (spec?.setHostnameAsFQDN !== true) return { hostname: short, fqdn };
  if (fqdn.length > MAX_HOST_NAME) {
    throw new Error(
      `Failed to construct FQDN from Pod hostname and cluster domain, FQDN ${fqdn} is too long ` +
        `(${MAX_HOST_NAME} characters is the max, ${fqdn.length} characters requested)`,
    );
  }
  return { hostname: fqdn, fqdn };
}

/** A pod's name may be longer than a label, and is cut where it may not end. */
function shortened(name: string): string {
  return name.slice(0, MAX_LABEL).replace(/[-.]+$/, "");
}
