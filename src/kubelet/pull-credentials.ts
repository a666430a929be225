import type { Pod } from "../api/index.ts";
import type { RegistryCredentials } from "../runtime/index.ts";
import type { PodReferences } from "./environment.ts";

interface DockerAuth {
  readonly username?: unknown;
  readonly password?: unknown;
  readonly auth?: unknown;
}

/** The credentials that the pod's imagePullSecrets hold for the image's registry, if any. */
export function pullCredentials(
  pod: Pod,
  image: string,
  references: PodReferences,
): RegistryCredentials | undefined {
  const first = image.split("/")[0] ?? "";
  const host = /[.:]/.test(first) && image.includes("/") ? first : "docker.io";
  for (const { name = "" } of pod.spec?.imagePullSecrets ?? []) {
    const data = references.secret(name)?.data?.[".dockerconfigjson"];
    const found = data === undefined ? undefined : credentialsFor(host, decode(data));
    if (found !== undefined) return found;
  }
  return undefined;
}

function decode(base64: string): Readonly<Record<string, DockerAuth>> {
  try {
    const config: unknown = JSON.parse(Buffer.from(base64, "base64").toString());
    return (config as { auths?: Record<string, DockerAuth> } | null)?.auths ?? {};
  } catch {
    return {}; // Not a Docker configuration: the pull goes on without credentials and tells.
  }
}

function credentialsFor(
  host: string,
  auths: Readonly<Record<string, DockerAuth>>,
): RegistryCredentials | undefined {
  for (const [registry, entry] of Object.entries(auths)) {
    const name = registry.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
    const same = name === host || (host === "docker.io" && name === "index.docker.io");
    if (!same) continue;
    const { username, password, auth } = entry;
    if (typeof username === "string" && typeof password === "string") return { username, password };
    if (typeof auth !== "string") continue;
    const [user = "", ...rest] = Buffer.from(auth, "base64").toString().split(":");
    return { username: user, password: rest.join(":") };
  }
  return undefined;
}
