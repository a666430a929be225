import {
  DEFAULT_PORT,
  formatReference,
  ImageError,
  type ImageErrorCode,
  parseReference,
  type ResolvedImage,
} from "../../images/index.ts";
import {
  type ContainerConfig,
  type ContainerPort,
  type ImageStatus,
  RuntimeError,
  type RuntimeErrorCode,
} from "../runtime.ts";
import type { ContainerRecord, SandboxRecord } from "./state-directory.ts";

const CODES: Readonly<Record<ImageErrorCode, RuntimeErrorCode>> = {
  "not-found": "image-not-found",
  unreachable: "image-unreachable",
  unauthorized: "image-unauthorized",
  "invalid-reference": "image-invalid-reference",
  "digest-mismatch": "image-damaged",
  unsupported: "image-unsupported",
  "too-large": "image-unsupported",
  overloaded: "image-unreachable",
  cancelled: "image-unreachable",
};

export function imageStatusOf(image: ResolvedImage): ImageStatus {
  const { reference, kind, sizeBytes } = image;
  return { reference, imageRef: imageRefOf(image), kind, sizeBytes };
}

/** `repository@sha256:…`: what was pulled, whatever the tag says by now. */
export function imageRefOf(image: ResolvedImage): string {
  const { host, repository } = parseReference(image.reference);
  return formatReference({
    ...(host === undefined ? {} : { host }),
    repository,
    digest: image.digest,
  });
}

/** The guest's argv: Kubernetes' rule for command and args against the image's own. */
export function guestArguments(
  image: ResolvedImage,
  config: { readonly command?: readonly string[]; readonly args?: readonly string[] },
): string[] {
  const { command = [], args = [] } = config;
  if (command.length > 0) return [...command, ...args];
  const { entrypoint = [], cmd = [] } = image.config;
  const tail = args.length > 0 ? args : cmd;
  if (entrypoint.length > 0) return [...entrypoint, ...tail];
  // An image that only has a Cmd names its program there.
  if (args.length === 0 && cmd.length > 0) return [...cmd];
  return [`${parseReference(image.reference).repository.split("/").at(-1)}.wasm`, ...args];
}

/** The image's environment with the container's on top. */
export function guestEnvironment(
  image: ResolvedImage,
  env: readonly (readonly [string, string])[],
): [string, string][] {
  const merged = new Map<string, string>();
  for (const pair of image.config.env ?? []) {
    const equals = pair.indexOf("=");
    if (equals > 0) merged.set(pair.slice(0, equals), pair.slice(equals + 1));
  }
  for (const [name, value] of env) merged.set(name, value);
  return [...merged];
}

/**
 * The container's ports, or those of its image where it names none: a guest cannot open a port by
 * itself. What another container of the pod has is taken.
 */
export function guestPorts(
  image: ResolvedImage,
  config: Pick<ContainerConfig, "name" | "ports">,
  { id, handler }: Pick<SandboxRecord, "id" | "handler">,
  containers: Iterable<{ readonly record: ContainerRecord }>,
): readonly ContainerPort[] {
  if (config.ports.length > 0) return config.ports;
  const known = image.config.ports ?? (handler === "wagi" ? [DEFAULT_PORT] : []);
  if (known.length === 0) return [];
  const others = [...containers].filter(
    ({ record }) => record.sandboxId === id && record.config.name !== config.name,
  );
  const taken = new Set(others.flatMap(({ record }) => record.config.ports.map((p) => p.port)));
  return known.filter((port) => !taken.has(port)).map((port) => ({ port, protocol: "TCP" }));
}

/** Gives an error of the image room the runtime's code; anything else passes as it is. */
export function asRuntimeError(error: unknown): unknown {
  if (!(error instanceof ImageError)) return error;
  return new RuntimeError(CODES[error.code], error.message, { cause: error });
}
