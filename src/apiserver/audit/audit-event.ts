import { rfc3339Micro, type Status } from "../../apimachinery/index.ts";
import type { RequestTarget } from "../request-target.ts";
import type { User } from "../user.ts";

/** Takes one line for each request that was answered; never throws, and never waits. */
export interface AuditSink {
  write(line: string): void;
}

/** What is found out about a request while it is answered. */
export interface AuditNote {
  /** Who sent it. */
  sender?: User;
  /** Whom it acts as. */
  user?: User;
  verb?: string;
  target?: RequestTarget;
  decision?: "allow" | "forbid";
  /** Which rule allows it, or what stands against it. */
  reason?: string;
  /** Of an object whose name is in the body alone. */
  name?: string;
  /** Why it was refused. */
  refusal?: Status;
}

export interface AuditedRequest {
  readonly id: string;
  readonly request: Request;
  readonly note: AuditNote;
  readonly code: number;
  /** Where the request came from; unknown inside the process. */
  readonly address?: string;
  readonly receivedMs: number;
  readonly answeredMs: number;
}

const STREAMS: ReadonlySet<string> = new Set(["log", "portforward", "proxy", "exec", "attach"]);

/** One event of audit.k8s.io/v1 at level Metadata: who did what, and no body. */
export function auditLine(audited: AuditedRequest): string {
  const { id, request, note, code, address, receivedMs, answeredMs } = audited;
  const { sender, user, target, refusal, decision } = note;
  const url = new URL(request.url);
  const agent = request.headers.get("user-agent");
  const asOther = user !== undefined && sender !== undefined && user !== sender;
  const refused = refusal && {
    status: refusal.status,
    message: refusal.message,
    reason: refusal.reason,
  };
  return JSON.stringify({
    kind: "Event",
    apiVersion: "audit.k8s.io/v1",
    level: "Metadata",
    auditID: id,
    stage: isStream(note) ? "ResponseStarted" : "ResponseComplete",
    requestURI: url.pathname + url.search,
    verb: note.verb ?? request.method.toLowerCase(),
    user: userInfo(sender ?? user),
    ...(asOther && { impersonatedUser: userInfo(user) }),
    ...(address !== undefined && address !== "" && { sourceIPs: [address] }),
    ...(agent !== null && { userAgent: agent }),
    ...(target?.type === "resource" && { objectRef: objectRef(target, note.name) }),
    responseStatus: { metadata: {}, ...refused, code },
    requestReceivedTimestamp: rfc3339Micro(receivedMs),
    stageTimestamp: rfc3339Micro(answeredMs),
    ...(decision !== undefined && {
      annotations: {
        "authorization.k8s.io/decision": decision,
        "authorization.k8s.io/reason": note.reason ?? "",
      },
    }),
  });
}

/** The answer is at its beginning when it is told. */
export function isStream({ verb, target }: AuditNote): boolean {
  return verb === "watch" || (target?.type === "resource" && STREAMS.has(target.subresource));
}

function userInfo(user: User | undefined) {
  if (user === undefined) return {};
  const { name: username, uid, groups, extra } = user;
  return {
    username,
    ...(uid !== undefined && { uid }),
    ...(groups.length > 0 && { groups }),
    ...(extra !== undefined && { extra }),
  };
}

function objectRef(target: Extract<RequestTarget, { type: "resource" }>, named?: string) {
  const { resource, namespace, group, version, subresource } = target;
  const name = target.name || (named ?? "");
  return {
    resource,
    ...(namespace !== "" && { namespace }),
    ...(name !== "" && { name }),
    ...(group !== "" && { apiGroup: group }),
    apiVersion: version,
    ...(subresource !== "" && { subresource }),
  };
}
