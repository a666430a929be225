import { isAbsolute, join } from "node:path";
import type { Container, Pod, SeccompProfile } from "../api/index.ts";
import type { ContainerSecurity, ImageStatus } from "../runtime/index.ts";
import { ConfigError } from "./config-error.ts";
import { podGroups } from "./sandbox-config.ts";

/** What a container's security context comes to, with the pod's below it. Pure. */
export function containerSecurity(
  pod: Pod,
  container: Container,
  options: { readonly seccompDirectory: string },
): ContainerSecurity {
  const ofPod = pod.spec?.securityContext ?? {};
  const own = container.securityContext ?? {};
  const runAsUser = own.runAsUser ?? ofPod.runAsUser;
  const runAsGroup = own.runAsGroup ?? ofPod.runAsGroup;
  const runAsNonRoot = own.runAsNonRoot ?? ofPod.runAsNonRoot;
  const seccomp = seccompOf(own.seccompProfile ?? ofPod.seccompProfile, options.seccompDirectory);
  const groups = podGroups(pod);
  const { add = [], drop = [] } = own.capabilities ?? {};
  return {
    ...(runAsUser === undefined ? {} : { runAsUser }),
    ...(runAsGroup === undefined ? {} : { runAsGroup }),
    ...(runAsNonRoot === undefined ? {} : { runAsNonRoot }),
    ...(groups.length === 0 ? {} : { supplementalGroups: groups }),
    ...(own.privileged === true ? { privileged: true } : {}),
    ...(own.readOnlyRootFilesystem === true ? { readOnlyRootFilesystem: true } : {}),
    ...(own.allowPrivilegeEscalation === undefined
      ? {}
      : { allowPrivilegeEscalation: own.allowPrivilegeEscalation }),
    ...(add.length === 0 ? {} : { addCapabilities: add }),
    ...(drop.length === 0 ? {} : { dropCapabilities: drop }),
    ...(seccomp === undefined ? {} : { seccomp }),
  };
}

function seccompOf(profile: SeccompProfile | undefined, directory: string): string | undefined {
  if (profile === undefined) return undefined;
  if (profile.type !== "Localhost") return profile.type;
  const { localhostProfile = "" } = profile;
  const leaves = isAbsolute(localhostProfile) || localhostProfile.split("/").includes("..");
  if (localhostProfile === "" || leaves) {
    throw new ConfigError(`localhostProfile must be a path below the node's seccomp directory`);
  }
  return join(directory, localhostProfile);
}

/** Refuses a container that must not be root and would be. Throws {@link ConfigError}. Pure. */
export function refuseRoot(
  pod: Pod,
  container: Container,
  security: ContainerSecurity,
  image: Pick<ImageStatus, "user">,
): void {
  if (security.runAsNonRoot !== true) return;
  const { name, namespace, uid } = pod.metadata;
  const where = `(pod: "${name}_${namespace}(${uid})", container: ${container.name})`;
  const { runAsUser } = security;
  if (runAsUser === 0) {
    throw new ConfigError(`container's runAsUser breaks non-root policy ${where}`);
  }
  if (runAsUser !== undefined) return;
  const user = (image.user ?? "").split(":")[0] ?? "";
  if (user === "" || /^0+$/.test(user)) {
    throw new ConfigError(`container has runAsNonRoot and image will run as root ${where}`);
  }
  if (/^\d+$/.test(user)) return;
  throw new ConfigError(
    `container has runAsNonRoot and image has non-numeric user (${user}), ` +
      `cannot verify user is non-root ${where}`,
  );
}
