import { badRequest, unauthorized } from "../apimachinery/index.ts";
import type { Attributes, Authorizer } from "./authorizer.ts";
import { forbiddenError } from "./resource-dispatch.ts";
import { accountGroups } from "./tokens/service-account-tokens.ts";
import { ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, type User } from "./user.ts";

const USER = "impersonate-user";
const GROUP = "impersonate-group";
const UID = "impersonate-uid";
const EXTRA_PREFIX = "impersonate-extra-";
const SERVICE_ACCOUNT_PREFIX = "system:serviceaccount:";

/**
 * Who a request acts as: its sender, or the one that its Impersonate headers name (`kubectl --as`).
 * Throws 400 for headers without a user and 403 where the sender may not act as someone else.
 */
export function actingUser(headers: Headers, sender: User, authorizer: Authorizer): User {
  const name = headers.get(USER) ?? "";
  if (name === "") {
    const alone = headers.has(GROUP) || headers.has(UID);
    if (alone) throw badRequest("Impersonate-Group and Impersonate-Uid need an Impersonate-User");
    return sender;
  }
  const given = groupsOf(headers);
  const uid = headers.get(UID) ?? "";
  const extra = extraOf(headers);
  const assertAllowed = (resource: string, asked: string, more: Partial<Asked> = {}): void => {
    const attributes: Attributes = { ...IMPERSONATE, resource, name: asked, ...more };
    const { allowed, reason } = authorizer.decide(sender, attributes);
    if (!allowed) throw forbiddenError(sender.name, attributes, reason);
  };
  const account = serviceAccountOf(name);
  if (account === undefined) assertAllowed("users", name);
  else assertAllowed("serviceaccounts", account.name, { namespace: account.namespace });
  for (const group of given) assertAllowed("groups", group);
  const inGroup = { group: "authentication.k8s.io" };
  if (uid !== "") assertAllowed("uids", uid, inGroup);
  for (const [key, values] of Object.entries(extra)) {
    for (const value of values)
      assertAllowed("userextras", value, { ...inGroup, subresource: key });
  }
  const ownGroups =
    account === undefined || given.length > 0 ? given : accountGroups(account.namespace);
  return {
    name,
    groups: withAuthenticated(name, ownGroups),
    ...(uid === "" ? {} : { uid }),
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  };
}

type Asked = Extract<Attributes, { readonly type: "resource" }>;

const IMPERSONATE = {
  type: "resource",
  verb: "impersonate",
  group: "",
  version: "v1",
  subresource: "",
  namespace: "",
} as const;

/** Headers of one name arrive joined by commas. */
function groupsOf(headers: Headers): string[] {
  const text = headers.get(GROUP) ?? "";
  return text
    .split(",")
    .map((group) => group.trim())
    .filter((group) => group !== "");
}

function extraOf(headers: Headers): Readonly<Record<string, readonly string[]>> {
  const given = [...headers].filter(([header]) => header.startsWith(EXTRA_PREFIX));
  return Object.fromEntries(
    given.map(([header, value]) => [
      decodedKey(header.slice(EXTRA_PREFIX.length)),
      value.split(", "),
    ]),
  );
}

/** Keys that are no header names are sent percent-encoded. */
function decodedKey(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    // A key that is not encoded may hold a percent sign: it is meant as it is.
    return key;
  }
}

/** "system:serviceaccount:default:web" names an account; a malformed one is nobody. */
function serviceAccountOf(user: string): { namespace: string; name: string } | undefined {
  if (!user.startsWith(SERVICE_ACCOUNT_PREFIX)) return undefined;
  const [namespace = "", name = "", ...rest] = user.slice(SERVICE_ACCOUNT_PREFIX.length).split(":");
  if (namespace === "" || name === "" || rest.length > 0) throw unauthorized();
  return { namespace, name };
}

function withAuthenticated(name: string, groups: readonly string[]): readonly string[] {
  const group = name === ANONYMOUS.name ? UNAUTHENTICATED : AUTHENTICATED;
  return groups.includes(group) ? groups : [...groups, group];
}
