import { badRequest } from "../../../apimachinery/index.ts";

/** A WebSocket for whoever serves it. */
export interface MessageSocket {
  /** One binary message. False: it is sent, but the next one should wait for `drained`. */
  send(bytes: Uint8Array): boolean;
  close(code: number, reason: string): void;
  /** Stops and goes on reading, where the transport can. */
  pause?(): void;
  resume?(): void;
}

export interface MessageSession {
  message(bytes: Uint8Array): void;
  /** The socket takes more again. */
  drained(): void;
  /** The client is gone. */
  closed(): void;
}

/** The bare connection behind a request, once its answer said that the protocol changes. */
export interface RawSocket {
  /** False: it is sent, but what follows should wait for `drained`. */
  write(bytes: Uint8Array): boolean;
  pause(): void;
  resume(): void;
  /** Closes it once everything is written. */
  end(): void;
}

export interface RawSession {
  data(bytes: Uint8Array): void;
  drained(): void;
  /** The client is gone, or ended its side. */
  closed(): void;
}

/** Takes connections over from the requests that came by them. */
export interface ConnectionUpgrader {
  /**
   * Makes a request that is being answered a WebSocket; its answer is not sent then. False when
   * its transport cannot be taken over.
   */
  upgrade(
    request: Request,
    options: {
      readonly protocol: string;
      readonly open: (socket: MessageSocket) => MessageSession;
    },
  ): boolean;
  /**
   * Answers 101 with these headers and hands the bare connection over. Absent where listeners
   * keep their connections to themselves.
   */
  takeOver?(
    request: Request,
    options: {
      readonly headers: Readonly<Record<string, string>>;
      readonly open: (socket: RawSocket) => RawSession;
    },
  ): boolean;
}

export const SPDY = "SPDY/3.1";
/** By which client and server agree on what goes over the streams of SPDY. */
export const STREAM_PROTOCOL_HEADER = "x-stream-protocol-version";

/** What a request wants its connection to become, and the protocols that it offers for it. */
export type WantedUpgrade =
  | { readonly type: "websocket"; readonly offered: readonly string[] }
  | { readonly type: "spdy"; readonly offered: readonly string[] };

/** Throws 400 for a request that wants none of the two. */
export function wantedUpgrade({ headers }: Request): WantedUpgrade {
  const listOf = (name: string): string[] =>
    (headers.get(name) ?? "").split(",").map((word) => word.trim());
  const upgrade = headers.get("upgrade")?.toLowerCase();
  if (upgrade === "websocket") {
    return { type: "websocket", offered: listOf("sec-websocket-protocol") };
  }
  if (upgrade === SPDY.toLowerCase()) {
    return { type: "spdy", offered: listOf(STREAM_PROTOCOL_HEADER) };
  }
  throw badRequest("Upgrade request required");
}

/** The best protocol that the client offers too. Throws 400 when there is none. */
export function agreedProtocol(offered: readonly string[], served: readonly string[]): string {
  const agreed = served.find((protocol) => offered.includes(protocol));
  if (agreed !== undefined) return agreed;
  throw badRequest(
    `unable to upgrade: unable to negotiate protocol: client supports [${offered.join(" ")}], ` +
      `server accepts [${served.join(" ")}]`,
  );
}

/** The answer to a request whose connection was taken over; it is not sent. Throws 400 if not. */
export function upgradedAnswer(taken: boolean): Response {
  if (taken) return new Response(null);
  throw badRequest("this connection cannot be upgraded");
}

/** Changes the connection's protocol to SPDY. Throws 400 where that is not possible. */
export function takeOverForSpdy(
  upgrader: ConnectionUpgrader,
  request: Request,
  options: { readonly protocol: string; readonly open: (socket: RawSocket) => RawSession },
): Response {
  if (upgrader.takeOver === undefined) {
    throw badRequest("SPDY is not spoken here: connect by WebSocket (kubectl 1.31 and later do)");
  }
  const headers = {
    connection: "Upgrade",
    upgrade: SPDY,
    [STREAM_PROTOCOL_HEADER]: options.protocol,
  };
  return upgradedAnswer(upgrader.takeOver(request, { headers, open: options.open }));
}
