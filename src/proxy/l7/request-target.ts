import type { RequestHead, Side } from "../../lib/index.ts";
import type { EndpointStates } from "../net/endpoint-states.ts";
import type { ServicePort } from "../routing/routing-table.ts";
import type { EgressErrorCode } from "./egress-error.ts";

/** Where a request goes, or why it goes nowhere. */
export type RequestTarget =
  | PortTarget
  | {
      readonly type: "refused";
      readonly status: number;
      readonly message: string;
      readonly code?: EgressErrorCode;
    }
  /** The proxy knows the answer: a JSON value. */
  | { readonly type: "answer"; readonly value: unknown };

export interface PortTarget {
  readonly type: "port";
  readonly port: ServicePort;
  readonly states: EndpointStates;
  /** Not of the routing table: what it says now holds for the whole request. */
  readonly fixed?: boolean;
  /** The port sleeps: asked where the request goes once it has endpoints, and not before. */
  readonly awake?: () => RequestTarget | Promise<RequestTarget>;
  /** Instead of the listener's own. */
  readonly connectMs?: number;
}

/** How a client's requests reached this proxy. */
export interface Door {
  readonly scheme: "http" | "https";
  readonly port: number;
}

/** What a listener decides about the requests of its clients. */
export interface RequestRouter {
  readonly side: Side;
  /** Where clients came in, which endpoints are told; absent where that is nobody's affair. */
  readonly door?: Door;
  route(head: RequestHead): RequestTarget | Promise<RequestTarget>;
}
