import { ImageError } from "./image-error.ts";

/** The parts of an image name, as written: nothing is filled in. */
export interface Reference {
  /** `registry.example:5000`; absent when the name has none. */
  readonly host?: string;
  /** `library/nginx`, lower case. */
  readonly repository: string;
  readonly tag?: string;
  /** `sha256:…` */
  readonly digest?: string;
}

export const DEFAULT_TAG = "latest";
export const DEFAULT_HOST = "docker.io";
const MAX_NAME_LENGTH = 255;

// The grammar of the OCI distribution specification, section "Pulling manifests".
const REPOSITORY = /^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
const DIGEST = /^sha256:[a-f0-9]{64}$/;
const HOST =
  /^([a-zA-Z0-9](-*[a-zA-Z0-9])*(\.[a-zA-Z0-9](-*[a-zA-Z0-9])*)*|\[[a-fA-F0-9:]+\])(:\d{1,5})?$/;

export function isRepositoryName(text: string): boolean {
  return text.length <= MAX_NAME_LENGTH && REPOSITORY.test(text);
}

export function isTag(text: string): boolean {
  return TAG.test(text);
}

/** Only sha256 is accepted: what is stored is verified with it. */
export function isDigest(text: string): boolean {
  return DIGEST.test(text);
}

/**
 * Splits an image name like `nginx`, `docker.io/library/nginx:1.27` or
 * `registry.example:5000/team/app@sha256:…`. The first part is a registry host when it has a dot or
 * a colon or is `localhost`, as everywhere in the container world. Throws ImageError
 * `invalid-reference`.
 */
export function parseReference(text: string): Reference {
  const at = text.indexOf("@");
  const digest = at === -1 ? undefined : text.slice(at + 1);
  const named = at === -1 ? text : text.slice(0, at);
  const colon = named.lastIndexOf(":");
  const hasTag = colon > named.lastIndexOf("/");
  const tag = hasTag ? named.slice(colon + 1) : undefined;
  const path = hasTag ? named.slice(0, colon) : named;
  const slash = path.indexOf("/");
  const first = slash === -1 ? "" : path.slice(0, slash);
  const hasHost = /[.:]|^localhost$|[A-Z]/.test(first);
  const host = hasHost ? first : undefined;
  const repository = hasHost ? path.slice(slash + 1) : path;

  if (host !== undefined && !HOST.test(host)) throw invalid(text, `registry host ${quote(host)}`);
  if (!isRepositoryName(repository)) {
    const why = /[A-Z]/.test(repository) ? "repository name must be lower case" : "repository name";
    throw invalid(text, `${why}, got ${quote(repository)}`);
  }
  if (tag !== undefined && !isTag(tag)) throw invalid(text, `tag ${quote(tag)}`);
  if (digest !== undefined && !isDigest(digest)) {
    throw invalid(text, `digest ${quote(digest)}, want sha256: and 64 hexadecimal digits`);
  }
  return {
    ...(host === undefined ? {} : { host }),
    repository,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** Writes a reference back as its shortest exact text. */
export function formatReference(reference: Reference): string {
  const host = reference.host === undefined ? "" : `${reference.host}/`;
  const tag = reference.tag === undefined ? "" : `:${reference.tag}`;
  const digest = reference.digest === undefined ? "" : `@${reference.digest}`;
  return `${host}${reference.repository}${tag}${digest}`;
}

/**
 * The registry, repository and version a name stands for when the cluster does not have it:
 * `nginx` → docker.io, `library/nginx`, `latest`.
 */
export function remoteReference(
  reference: Reference,
): Required<Pick<Reference, "host">> & Reference {
  const named = reference.host ?? DEFAULT_HOST;
  const host = named === "index.docker.io" ? DEFAULT_HOST : named;
  const bare = host === DEFAULT_HOST && !reference.repository.includes("/");
  const version =
    reference.tag === undefined && reference.digest === undefined ? { tag: DEFAULT_TAG } : {};
  return {
    ...reference,
    ...version,
    host,
    repository: bare ? `library/${reference.repository}` : reference.repository,
  };
}

function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

function invalid(text: string, why: string): ImageError {
  return new ImageError("invalid-reference", `invalid image name ${quote(text)}: ${why}`);
}
