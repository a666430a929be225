import type { User } from "./user.ts";

const USER = "x-remote-user";
const UID = "x-remote-uid";
const GROUP = "x-remote-group";
const EXTRA_PREFIX = "x-remote-extra-";

/** The store's revision after a write; whoever has applied it sees the write. */
export const REVISION_HEADER = "x-kubun-revision";
/** A server's answer to a forwarded request that it did not begin, because it does not lead. */
export const NOT_LEADER_HEADER = "x-kubun-not-leader";

/** They belong to one connection, or are made anew with the body. */
const OF_THE_CONNECTION: ReadonlySet<string> = new Set([
  "authorization",
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/**
 * The headers of a request that is forwarded for a user. What a client sent in the names that only
 * servers may use is gone, and so are its credentials: they are nobody else's business.
 */
export function forwardedHeaders(given: Headers, user: User): Headers {
  const headers = new Headers();
  for (const [name, value] of given) {
    const reserved = name.startsWith("x-remote-") || name.startsWith("x-kubun-");
    const own = OF_THE_CONNECTION.has(name) || name.startsWith("proxy-");
    if (!reserved && !own) headers.append(name, value);
  }
  // Names may hold what a header may not, and commas: each is encoded by itself.
  headers.set(USER, encodeURIComponent(user.name));
  headers.set(GROUP, encodedList(user.groups));
  if (user.uid !== undefined) headers.set(UID, encodeURIComponent(user.uid));
  for (const [key, values] of Object.entries(user.extra ?? {})) {
    headers.set(EXTRA_PREFIX + hexOf(key), encodedList(values));
  }
  return headers;
}

/** The user that another server names; undefined when it names none. Throws on broken encoding. */
export function forwardedUser(headers: Headers): User | undefined {
  const name = decodeURIComponent(headers.get(USER) ?? "");
  if (name === "") return undefined;
  const uid = headers.get(UID);
  const extra = [...headers]
    .filter(([header]) => header.startsWith(EXTRA_PREFIX))
    .map(([header, value]): [string, string[]] => [
      Buffer.from(header.slice(EXTRA_PREFIX.length), "hex").toString("utf8"),
      decodedList(value),
    ]);
  return {
    name,
    groups: decodedList(headers.get(GROUP) ?? ""),
    ...(uid === null ? {} : { uid: decodeURIComponent(uid) }),
    ...(extra.length === 0 ? {} : { extra: Object.fromEntries(extra) }),
  };
}

function encodedList(values: readonly string[]): string {
  return values.map(encodeURIComponent).join(",");
}

function decodedList(text: string): string[] {
  return text === "" ? [] : text.split(",").map((value) => decodeURIComponent(value.trim()));
}

/** Header names know no case; keys of extras do. */
function hexOf(text: string): string {
  return Buffer.from(text, "utf8").toString("hex");
}
