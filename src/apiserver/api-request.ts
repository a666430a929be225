import type { ResourceDefinition } from "../api/index.ts";
import type { Clock, Fetch, Logger, Random } from "../lib/index.ts";
import type { Registry, ResourceRegistry } from "../registry/index.ts";
import type { AuditNote } from "./audit/audit-event.ts";
import type { Authenticator } from "./authenticator.ts";
import type { NodeStats } from "./metrics-api/node-stats.ts";
import type { Media } from "./media-type.ts";
import type { AccessControl } from "./rbac/access-control.ts";
import type { ResourceTarget } from "./request-target.ts";
import type { ConnectionUpgrader } from "./subresources/streams/connection-upgrade.ts";
import type { ProxyTransport } from "./subresources/proxy.ts";
import type { ServiceAccountTokens } from "./tokens/service-account-tokens.ts";
import type { User } from "./user.ts";

/** The HTTP API of the node agent on a node; undefined when there is no such node to talk to. */
export type NodeConnector = (nodeName: string) => Fetch | undefined;

/** What every handler may use. */
export interface ApiContext {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly nodeConnector: NodeConnector;
  readonly nodeStats: NodeStats;
  /** Absent where connections cannot be taken over. */
  readonly upgrader?: ConnectionUpgrader;
  /** Absent where there is no way into the cluster. */
  readonly proxyTransport?: ProxyTransport;
  readonly access: AccessControl;
  readonly authenticator: Authenticator;
  /** Absent where tokens of ServiceAccounts are not issued. */
  readonly serviceAccountTokens?: ServiceAccountTokens;
}

/** One authorized request to a resource. */
export interface ApiRequest {
  readonly context: ApiContext;
  readonly request: Request;
  readonly query: URLSearchParams;
  readonly user: User;
  readonly target: ResourceTarget;
  /** The namespace of the objects; "" for cluster-wide kinds and all namespaces. */
  readonly namespace: string;
  readonly definition: ResourceDefinition;
  readonly resource: ResourceRegistry;
  readonly media: Media;
  /** What the audit log will tell. */
  readonly note: AuditNote;
  /** Become Warning headers of the answer. */
  readonly warnings: string[];
}
