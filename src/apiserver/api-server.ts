import { Hono } from "hono";
import type { Clock, Fetch, Logger, Random } from "../lib/index.ts";
import type { Registry } from "../registry/index.ts";
import type { Authenticator } from "./authenticator.ts";
import type { Authorizer } from "./authorizer.ts";

/** The HTTP API of the node agent on a node; undefined when there is no such node to talk to. */
export type NodeConnector = (nodeName: string) => Fetch | undefined;

/** What /version answers; kubectl compares major and minor with its own. */
export interface VersionInfo {
  readonly major: string;
  readonly minor: string;
  /** "v1.36.0+kubun-0.1.0" */
  readonly gitVersion: string;
  readonly gitCommit: string;
  readonly platform: string;
}

export interface ApiServerOptions {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly authenticator: Authenticator;
  /** Administrators and components only, unless given. */
  readonly authorizer?: Authorizer;
  readonly nodeConnector: NodeConnector;
  readonly version: VersionInfo;
  /** Further conditions of /readyz by name; each says whether it holds. */
  readonly readiness?: Readonly<Record<string, () => boolean>>;
  readonly maxRequestsInFlight?: number;
}

/** The API as a Hono app: `app.fetch` serves a socket, tests and components alike. */
export function createApiServer(_options: ApiServerOptions): Hono {
  return new Hono();
}
