import type { Socket } from "bun";
import { type Clock, Outlet, SpdyConnection } from "../../../lib/index.ts";
import { RuntimeError } from "../../runtime.ts";

/** How long a streaming server may take to take the connection and to change the protocol. */
export const UPGRADE_DEADLINE_MS = 10_000;
const MAX_HEAD_BYTES = 16 * 1024;
/** What is held for a server that reads slowly: writers wait long before, save for one frame. */
const MAX_HELD_BYTES = 4 * 1024 * 1024;
const HEAD_END = "\r\n\r\n";
const SWITCHING_PROTOCOLS = 101;
const NOT_FOUND = 404;

export interface StreamingTarget {
  /** As the container runtime gave it; it may be used once. */
  readonly url: string;
  /** Versions of the protocol, the best one first. */
  readonly protocols: readonly string[];
}

/**
 * Connects to the streaming server of a container runtime and makes the connection carry SPDY.
 * Errors: RuntimeError `not-found` when it does not know the URL (any more), else `unsupported`.
 */
export function openStreamingConnection(
  target: StreamingTarget,
  options: { readonly clock: Clock; readonly onClose?: () => void },
): Promise<SpdyConnection> {
  const { promise, resolve, reject } = Promise.withResolvers<SpdyConnection>();
  const dialled = new DialledConnection(target, {
    ...options,
    onOpen: resolve,
    onFailure: reject,
  });
  const cancel = options.clock.after(UPGRADE_DEADLINE_MS, () =>
    dialled.fail("unsupported", `no answer within ${UPGRADE_DEADLINE_MS} ms`),
  );
  dialled.dial();
  return promise.finally(cancel);
}

interface DialledOptions {
  readonly onOpen: (connection: SpdyConnection) => void;
  readonly onFailure: (error: RuntimeError) => void;
  readonly onClose?: () => void;
}

/** The socket: first the head of an answer, then frames. */
class DialledConnection {
  readonly #target: StreamingTarget;
  readonly #url: URL;
  readonly #options: DialledOptions;
  readonly #connection: SpdyConnection;
  #socket: Socket<DialledConnection> | undefined;
  #outlet: Outlet | undefined;
  #head: Buffer = Buffer.alloc(0);
  #state: "asked" | "open" | "over" = "asked";

  constructor(target: StreamingTarget, options: DialledOptions) {
    this.#target = target;
    this.#url = new URL(target.url);
    this.#options = options;
    this.#connection = new SpdyConnection({
      role: "client",
      transport: {
        write: (bytes) => this.#outlet?.write(bytes) ?? true,
        pause: () => this.#socket?.pause(),
        resume: () => this.#socket?.resume(),
        close: () => this.#outlet?.finishAndClose(),
      },
      ...(options.onClose === undefined ? {} : { onClose: options.onClose }),
    });
  }

  dial(): void {
    const { hostname, port, protocol } = this.#url;
    const secure = protocol === "https:";
    const { promise } = {
      promise: Bun.connect<DialledConnection>({
        hostname: hostname.replace(/^\[|\]$/g, ""),
        port: Number(port) || (secure ? 443 : 80),
        allowHalfOpen: true,
        data: this,
        // The runtime named this address over its own socket: its certificate is nobody's.
        ...(secure ? { tls: { rejectUnauthorized: false } } : {}),
        socket: {
          open: (socket) => socket.data.#opened(socket),
          data: (socket, chunk) => socket.data.#received(chunk),
          drain: (socket) => socket.data.#drained(),
          end: (socket) => socket.data.#lost(socket),
          close: (socket) => socket.data.#lost(socket),
          error: (socket) => socket.terminate(),
        },
      }),
    };
    promise.catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      this.fail("unsupported", `its streaming server cannot be reached: ${why}`);
    });
  }

  fail(code: "unsupported" | "not-found", why: string): void {
    if (this.#state !== "asked") return;
    this.#state = "over";
    this.#socket?.terminate();
    const where = `${this.#url.host}${this.#url.pathname.split("/").slice(0, 2).join("/")}`;
    this.#options.onFailure(new RuntimeError(code, `stream over ${where}: ${why}`));
  }

  #opened(socket: Socket<DialledConnection>): void {
    if (this.#state !== "asked") {
      socket.terminate();
      return;
    }
    this.#socket = socket;
    this.#outlet = new Outlet(socket, { maxHeldBytes: MAX_HELD_BYTES });
    const { host, pathname, search } = this.#url;
    const lines = [
      `POST ${pathname}${search} HTTP/1.1`,
      `Host: ${host}`,
      "Connection: Upgrade",
      "Upgrade: SPDY/3.1",
      ...this.#target.protocols.map((name) => `X-Stream-Protocol-Version: ${name}`),
      "Content-Length: 0",
      "",
      "",
    ];
    this.#outlet.write(Buffer.from(lines.join("\r\n")));
  }

  #received(chunk: Buffer): void {
    if (this.#state === "open") {
      this.#connection.receive(chunk);
      return;
    }
    if (this.#state === "over") return;
    this.#head = Buffer.concat([this.#head, chunk]);
    const end = this.#head.indexOf(HEAD_END);
    if (end === -1) {
      if (this.#head.length > MAX_HEAD_BYTES) this.fail("unsupported", "its answer has no end");
      return;
    }
    const [status = "", ...fields] = this.#head.toString("latin1", 0, end).split("\r\n");
    const rest = this.#head.subarray(end + HEAD_END.length);
    const code = Number(status.split(" ")[1]);
    if (code !== SWITCHING_PROTOCOLS) {
      const said = rest.toString("utf8").trim();
      const why = `${status.split(" ").slice(1).join(" ")}${said === "" ? "" : `: ${said}`}`;
      return this.fail(code === NOT_FOUND ? "not-found" : "unsupported", why);
    }
    if (!fields.some((field) => /^upgrade:\s*spdy\/3\.1$/i.test(field))) {
      return this.fail("unsupported", "it changed to another protocol than SPDY");
    }
    this.#state = "open";
    this.#options.onOpen(this.#connection);
    if (rest.length > 0) this.#connection.receive(rest);
  }

  #drained(): void {
    if (this.#outlet?.flush() === true) this.#connection.drained();
  }

  /** The server ended its side or the socket is gone: nothing more will come. */
  #lost(socket: Socket<DialledConnection>): void {
    this.fail("unsupported", "it closed the connection");
    if (this.#state !== "open") return;
    this.#state = "over";
    this.#connection.lost("the container runtime closed the connection");
    socket.terminate();
  }
}
