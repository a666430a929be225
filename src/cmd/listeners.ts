import { UsageError } from "../cli/index.ts";
import type { Clock } from "../lib/index.ts";
import { HttpsDoor } from "../os/index.ts";
import type {
  KeyPair,
  MessageSession,
  MessageSocket,
  PresentedCertificate,
  TakeOver,
} from "../os/index.ts";

/** A port as it is wished for: given by the user (0: any), or preferred and free to differ. */
export type PortChoice =
  | { readonly type: "given"; readonly port: number; readonly flag: string }
  | { readonly type: "preferred"; readonly port: number };

/** Answers a request that came from an address, by a client that showed this certificate. */
export type Front = (
  request: Request,
  address: string,
  certificate?: PresentedCertificate,
) => Promise<Response>;

export interface ApiListener {
  readonly port: number;
  /** Answers with this from now on; before, every request gets 503. */
  serve(front: Front): void;
  /**
   * Makes a request that is being answered a WebSocket; its answer is not sent then. False when it
   * did not come in here, or asks for no WebSocket.
   */
  upgrade(request: Request, options: UpgradeOptions): boolean;
  /** Answers 101 with the headers, if any, and hands the bare connection over. */
  takeOver(request: Request, options: TakeOver): boolean;
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

/** Listens with TLS for the API. Throws a UsageError when a port given by the user is taken. */
export function listenForApi(options: {
  hostname: string;
  choice: PortChoice;
  keys: KeyPair;
  /** Who vouches for clients that show certificates. */
  clientAuthority: string;
  clock: Clock;
  /** A predecessor listens there too: who comes early waits, as it would there. */
  sharesPort?: boolean;
}): ApiListener {
  const { hostname, choice, keys, clientAuthority, clock, sharesPort = false } = options;
  const early = new EarlyRequests();
  let handle: Front = sharesPort ? (...came) => early.wait(...came) : refuseEarly;
  const door = withChosenPort(
    hostname,
    choice,
    (port) =>
      new HttpsDoor({
        hostname,
        port,
        keys,
        clientAuthority,
        sharesPort,
        clock,
        handle: (request, { address, certificate }) => handle(request, address, certificate),
      }),
  );
  return {
    port: door.port,
    serve(front) {
      handle = front;
      early.serve(front);
    },
    upgrade(request, { protocol, open }) {
      const offered = request.headers.get("sec-websocket-protocol") ?? "";
      if (!offered.split(",").some((name) => name.trim() === protocol)) return false;
      return door.upgrade(request, { protocol, open });
    },
    takeOver: (request, what) => door.takeOver(request, what),
    show: (fresh) => door.show(fresh),
    leave: () => door.leave(),
    get pending() {
      return door.pending;
    },
    async stop() {
      door.stop();
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

  async wait(...came: Parameters<Front>): Promise<Response> {
    if (this.#waiting >= MAX_EARLY_REQUESTS) return refuseEarly();
    this.#waiting++;
    const front = await this.#front.promise;
    this.#waiting--;
    return front(...came);
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
