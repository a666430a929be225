import { isToken } from "./fields.ts";

/** `method` and `scheme` of wasi:http/types. */
export type Method =
  | { readonly tag: (typeof PLAIN_METHODS)[number] }
  | { readonly tag: "other"; readonly val: string };
export type Scheme =
  | { readonly tag: "HTTP" | "HTTPS" }
  | { readonly tag: "other"; readonly val: string };

const PLAIN_METHODS = [
  "get",
  "head",
  "post",
  "put",
  "delete",
  "connect",
  "options",
  "trace",
  "patch",
] as const;

export const MAX_PATH_LENGTH = 16 * 1024;
const MAX_METHOD_LENGTH = 64;
const MAX_AUTHORITY_LENGTH = 1024;
/** Visible ASCII without what would end a request line or begin a fragment; UTF-8 is encoded. */
const PATH_WITH_QUERY = /^[/?][!-"$-~\u0080-\u{10ffff}]*$/u;
const AUTHORITY = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]+)(?::(\d{1,5}))?$/;
const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*$/;
const MAX_PORT = 65_535;

export function methodOf(name: string): Method {
  const tag = PLAIN_METHODS.find((plain) => plain.toUpperCase() === name);
  return tag === undefined ? { tag: "other", val: name } : { tag };
}

/** As it stands in a request line; undefined for what is no method. */
export function methodName(method: Method): string | undefined {
  if (method.tag !== "other") return method.tag.toUpperCase();
  const { val } = method;
  return isToken(val) && val.length <= MAX_METHOD_LENGTH ? val : undefined;
}

export function isScheme(scheme: Scheme): boolean {
  return scheme.tag !== "other" || SCHEME.test(scheme.val);
}

/** A path as it may stand in a request line, with a query or not; `*` for OPTIONS. */
export function isPathWithQuery(text: string): boolean {
  if (text.length > MAX_PATH_LENGTH) return false;
  return text === "" || text === "*" || PATH_WITH_QUERY.test(text);
}

export interface Authority {
  /** Without the brackets of an IPv6 address. */
  readonly host: string;
  readonly port: number | undefined;
}

/** `host[:port]`; undefined for what is none, userinfo included. */
export function parseAuthority(text: string): Authority | undefined {
  if (text.length > MAX_AUTHORITY_LENGTH) return undefined;
  const [, host, digits] = AUTHORITY.exec(text) ?? [];
  if (host === undefined) return undefined;
  const port = digits === undefined ? undefined : Number(digits);
  if (port !== undefined && (port < 1 || port > MAX_PORT)) return undefined;
  return { host: host.replace(/^\[(.*)\]$/, "$1"), port };
}
