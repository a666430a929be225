import { UsageError } from "../cli/index.ts";
import type { KeyPair } from "../os/index.ts";

/** A port as it is wished for: given by the user (0: any), or preferred and free to differ. */
export type PortChoice =
  | { readonly type: "given"; readonly port: number; readonly flag: string }
  | { readonly type: "preferred"; readonly port: number };

/** Answers a request that came from an address. */
export type Front = (request: Request, address: string) => Promise<Response>;

export interface ApiListener {
  readonly port: number;
  /** Answers with this from now on; before, every request gets 503. */
  serve(front: Front): void;
  /**
   * Makes a request that is being answered a WebSocket; its answer is not sent then. False when it
   * did not come in here, or asks for no WebSocket.
   */
  upgrade(request: Request, options: UpgradeOptions): boolean;
  /** Shows this certificate to whoever comes from now on; open connections stay. */
  show(keys: KeyPair): void;
  /** Takes no new connection; what is being answered goes on. */
  leave(): void;
  /** Requests being answered, and WebSockets. */
  readonly pending: number;
  /** Ends the listener and every open connection. */
  stop(): Promise<void>;
}

export interface UpgradeOptions {
  readonly protocol: string;
  /** Begins the session over the open socket. */
  readonly open: (socket: MessageSocket) => MessageSession;
}

/** A WebSocket for whoever serves it. */
export interface MessageSocket {
  /** False: it is sent, but the next message should wait for `drained`. */
  send(bytes: Uint8Array): boolean;
  close(code: number, reason: string): void;
}

export interface MessageSession {
  message(bytes: Uint8Array): void;
  drained(): void;
  closed(): void;
}

interface SocketData {
  readonly options: UpgradeOptions;
  session?: MessageSession;
}

/** Requests above this are refused by the transport; image uploads are the largest. */
const MAX_REQUEST_BODY_BYTES = 1024 * 1024 * 1024;
/** A message of a WebSocket, and what may wait to be sent over one. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

const WEB_SOCKET: Bun.WebSocketHandler<SocketData> = {
  idleTimeout: 0,
  maxPayloadLength: MAX_MESSAGE_BYTES,
  backpressureLimit: MAX_MESSAGE_BYTES,
  open(socket) {
    socket.binaryType = "uint8array";
    socket.data.session = socket.data.options.open({
      // 0 and -1: dropped, or waiting for the client to take what was sent before.
      send: (bytes) => socket.sendBinary(bytes) > 0,
      close: (code, reason) => socket.close(code, reason),
    });
  },
  message({ data }, message) {
    data.session?.message(typeof message === "string" ? Buffer.from(message) : message);
  },
  drain: ({ data }) => data.session?.drained(),
  close: ({ data }) => data.session?.closed(),
};

/** Listens with TLS for the API. Throws a UsageError when a port given by the user is taken. */
export function listenForApi(options: {
  hostname: string;
  choice: PortChoice;
  keys: KeyPair;
  /** A predecessor listens there too: who comes early waits, as it would there. */
  sharesPort?: boolean;
}): ApiListener {
  const { sharesPort = false } = options;
  const early = new EarlyRequests();
  let handle: Front = sharesPort ? (...came) => early.wait(...came) : refuseEarly;
  /** By which listener a request came, until it is answered: an earlier one may have ended. */
  const came = new WeakMap<Request, Bun.Server<SocketData>>();
  const upgraded = new WeakSet<Request>();
  const serve = (port: number, keys: KeyPair): Bun.Server<SocketData> =>
    Bun.serve<SocketData>({
      hostname: options.hostname,
      port,
      reusePort: sharesPort,
      tls: { cert: keys.certificate, key: keys.privateKey },
      // Watches are silent for minutes; the API bounds them itself.
      idleTimeout: 0,
      maxRequestBodySize: MAX_REQUEST_BODY_BYTES,
      async fetch(request, asked) {
        came.set(request, asked);
        const answer = await handle(request, asked.requestIP(request)?.address ?? "");
        return upgraded.has(request) ? undefined : answer;
      },
      websocket: WEB_SOCKET,
    });
  let server = withChosenPort(options.hostname, options.choice, (port) =>
    serve(port, options.keys),
  );
  const port = server.port ?? options.choice.port;
  const former: Bun.Server<SocketData>[] = [];
  return {
    port,
    serve(front) {
      handle = front;
      early.serve(front);
    },
    upgrade(request, { protocol, open }) {
      const offered = request.headers.get("sec-websocket-protocol") ?? "";
      if (!offered.split(",").some((name) => name.trim() === protocol)) return false;
      const headers = { "sec-websocket-protocol": protocol };
      const data: SocketData = { options: { protocol, open } };
      if (came.get(request)?.upgrade(request, { data, headers }) !== true) return false;
      upgraded.add(request);
      return true;
    },
    show(keys) {
      // Bun's listeners keep their certificate: another one takes the port. Who comes in between
      // is refused, and comes again; what is open ends by itself.
      const last = server;
      void last.stop(false).then(() => former.splice(former.indexOf(last), 1));
      former.push(last);
      server = serve(port, keys);
    },
    leave() {
      for (const each of [server, ...former]) void each.stop(false);
    },
    get pending() {
      return [server, ...former].reduce(
        (sum, each) => sum + each.pendingRequests + each.pendingWebSockets,
        0,
      );
    },
    async stop() {
      await Promise.all([server, ...former].map((each) => each.stop(true)));
    },
  };
}

/** Requests that may wait for a server that takes another's place; further ones come again. */
const MAX_EARLY_REQUESTS = 600;

async function refuseEarly(): Promise<Response> {
  return new Response("starting\n", { status: 503, headers: { "retry-after": "1" } });
}

/** Who came before there was an answer. */
class EarlyRequests {
  readonly #front = Promise.withResolvers<Front>();
  #waiting = 0;

  serve(front: Front): void {
    this.#front.resolve(front);
  }

  async wait(request: Request, address: string): Promise<Response> {
    if (this.#waiting >= MAX_EARLY_REQUESTS) return refuseEarly();
    this.#waiting++;
    const front = await this.#front.promise;
    this.#waiting--;
    return front(request, address);
  }
}

/** Finds a port that can be listened on. Throws a UsageError when a given one is taken. */
export function chooseFreePort(hostname: string, choice: PortChoice): number {
  return withChosenPort(hostname, choice, (port) => {
    const probe = Bun.listen({ hostname, port, socket: { data: () => undefined } });
    const chosen = probe.port;
    probe.stop(true);
    return chosen;
  });
}

/**
 * The port to ask for later: the wished one while it is free, else 0 for any. A free one that is
 * picked now may be somebody else's by then. Throws a UsageError when a given one is taken.
 */
export function wishedPortOrAny(hostname: string, choice: PortChoice): number {
  return chooseFreePort(hostname, choice) === choice.port ? choice.port : 0;
}

/** Listens where it is wished. Throws a UsageError when a given port cannot be had. */
export function withChosenPort<T>(
  hostname: string,
  choice: PortChoice,
  listen: (port: number) => T,
): T {
  try {
    return listen(choice.port);
  } catch (error) {
    if (choice.type === "preferred") return listen(0);
    const code = errorCode(error);
    if (code === "EADDRINUSE") {
      throw new UsageError(
        `${choice.flag} ${choice.port} is in use on ${hostname}: ` +
          "stop what listens there, or give another port (0 picks a free one)",
      );
    }
    throw new UsageError(
      `${choice.flag} ${choice.port} cannot be listened on at ${hostname} (${code}): ` +
        "give an address of this machine and a port this user may use (0 picks a free one)",
    );
  }
}

function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
