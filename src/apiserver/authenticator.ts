import { AUTHENTICATED, type User } from "./user.ts";

/** Finds out who makes a request; undefined when its credentials are unknown. */
export interface Authenticator {
  authenticate(request: Request): User | undefined | Promise<User | undefined>;
}

const BEARER = "Bearer ";

/** The bearer token of a request. */
export function bearerOf(request: Request): string | undefined {
  const header = request.headers.get("authorization");
  if (header === null || !header.startsWith(BEARER)) return undefined;
  return header.slice(BEARER.length).trim();
}

/** Bearer tokens from a fixed table: token → user. The map may be changed while in use. */
export function tokenAuthenticator(tokens: ReadonlyMap<string, User>): Authenticator {
  return {
    authenticate(request) {
      const token = bearerOf(request);
      if (token === undefined) return undefined;
      // A Map's lookup compares hashes first, so that its duration does not tell how much matched.
      const user = tokens.get(token);
      if (user === undefined || user.groups.includes(AUTHENTICATED)) return user;
      return { ...user, groups: [...user.groups, AUTHENTICATED] };
    },
  };
}

/** The first that knows who it is decides. */
export function firstAuthenticator(...authenticators: readonly Authenticator[]): Authenticator {
  return {
    authenticate: (request) => askInTurn(request, authenticators),
  };
}

/** Waits only where one of them has to: most know at once. */
function askInTurn(
  request: Request,
  [first, ...others]: readonly Authenticator[],
): User | undefined | Promise<User | undefined> {
  const user = first?.authenticate(request);
  if (user instanceof Promise) {
    return user.then((known) => known ?? askInTurn(request, others));
  }
  return user !== undefined || others.length === 0 ? user : askInTurn(request, others);
}
