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
  /** Ends the listener and every open connection. */
  stop(): Promise<void>;
}

/** Requests above this are refused by the transport; image uploads are the largest. */
const MAX_REQUEST_BODY_BYTES = 1024 * 1024 * 1024;

/** Listens with TLS for the API. Throws a UsageError when a port given by the user is taken. */
export function listenForApi(options: {
  hostname: string;
  choice: PortChoice;
  keys: KeyPair;
}): ApiListener {
  let handle: Front = async () => new Response("starting\n", { status: 503 });
  const serve = (port: number): Bun.Server<undefined> =>
    Bun.serve({
      hostname: options.hostname,
      port,
      tls: { cert: options.keys.certificate, key: options.keys.privateKey },
      // Watches are silent for minutes; the API bounds them itself.
      idleTimeout: 0,
      maxRequestBodySize: MAX_REQUEST_BODY_BYTES,
      fetch: (request, asked) => handle(request, asked.requestIP(request)?.address ?? ""),
    });
  const server = withChosenPort(options.hostname, options.choice, serve);
  return {
    port: server.port ?? options.choice.port,
    serve(front) {
      handle = front;
    },
    stop: () => server.stop(true),
  };
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
