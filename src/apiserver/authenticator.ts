import { AUTHENTICATED, type User } from "./user.ts";

/** Finds out who makes a request; undefined when its credentials are unknown. */
export interface Authenticator {
  authenticate(request: Request): User | undefined;
}

const BEARER = "Bearer ";

/** Bearer tokens from a fixed table: token → user. The map may be changed while in use. */
export function tokenAuthenticator(tokens: ReadonlyMap<string, User>): Authenticator {
  return {
    authenticate(request) {
      const header = request.headers.get("authorization");
      if (header === null || !header.startsWith(BEARER)) return undefined;
      // A Map's lookup compares hashes first, so that its duration does not tell how much matched.
      const user = tokens.get(header.slice(BEARER.length).trim());
      if (user === undefined || user.groups.includes(AUTHENTICATED)) return user;
      return { ...user, groups: [...user.groups, AUTHENTICATED] };
    },
  };
}
