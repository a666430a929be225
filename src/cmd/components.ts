import { nodeUserName, NODES } from "../apiserver/index.ts";
import type { User } from "../apiserver/index.ts";
import { createClient } from "../client/index.ts";
import type { Client } from "../client/index.ts";
import type { Clock, Fetch } from "../lib/index.ts";
import { newToken } from "./credentials.ts";
import { VERSION } from "./version.ts";

/** Who the cluster's own parts are to the API, as in any Kubernetes cluster. */
export function componentUsers(nodeName: string): Readonly<Record<Component, User>> {
  return {
    // What keeps the cluster's own objects; in Kubernetes it is the API server itself.
    apiserver: { name: "system:apiserver", groups: ["system:masters"] },
    controllers: { name: "system:kube-controller-manager", groups: [] },
    scheduler: { name: "system:kube-scheduler", groups: [] },
    kubelet: { name: nodeUserName(nodeName), groups: [NODES] },
    proxy: { name: "system:kube-proxy", groups: [] },
  };
}

export type Component = "apiserver" | "controllers" | "scheduler" | "kubelet" | "proxy";

const ADMINISTRATOR: User = { name: "kubun:admin", groups: ["system:masters"] };

/** The bearer tokens of one run: the administrator's from disk, the components' made anew. */
export interface ComponentTokens {
  readonly users: ReadonlyMap<string, User>;
  clientOf(component: Component, api: { fetch: Fetch; clock: Clock }): Client;
}

export function createComponentTokens(options: {
  adminToken: string;
  nodeName: string;
}): ComponentTokens {
  const users = new Map<string, User>([[options.adminToken, ADMINISTRATOR]]);
  const tokens = new Map<string, string>();
  for (const [component, user] of Object.entries(componentUsers(options.nodeName))) {
    const token = newToken();
    tokens.set(component, token);
    users.set(token, user);
  }
  return {
    users,
    clientOf(component, api) {
      const token = tokens.get(component) ?? "";
      return createClient({ ...api, token, userAgent: `kubun-${component}/${VERSION}` });
    },
  };
}
