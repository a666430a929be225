import type { Client, ServiceError } from "@grpc/grpc-js";
import type { Clock } from "../../../lib/index.ts";
import { CriError, DEADLINE_EXCEEDED, UNKNOWN } from "./cri-error.ts";
import { type Decoded, type Encodable, type MessageType, decode, encode } from "./protobuf.ts";

/** A method of the interface with what goes in and comes out. */
export interface CriMethod<I extends MessageType, O extends MessageType> {
  /** "/runtime.v1.RuntimeService/Version" */
  readonly path: string;
  readonly input: I;
  readonly output: O;
}

export function runtimeMethod<I extends MessageType, O extends MessageType>(
  name: string,
  input: I,
  output: O,
): CriMethod<I, O> {
  return { path: `/runtime.v1.RuntimeService/${name}`, input, output };
}

export function imageMethod<I extends MessageType, O extends MessageType>(
  name: string,
  input: I,
  output: O,
): CriMethod<I, O> {
  return { path: `/runtime.v1.ImageService/${name}`, input, output };
}

export interface CallOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** Calls over one Unix socket; the connection is made with the first and mended by itself. */
export interface CriClient {
  /** Throws CriError. */
  call<I extends MessageType, O extends MessageType>(
    method: CriMethod<I, O>,
    request: Encodable<I>,
    options: CallOptions,
  ): Promise<Decoded<O>>;
  /** Answers of a stream until it ends, fails or the signal aborts. Throws CriError. */
  stream<I extends MessageType, O extends MessageType>(
    method: CriMethod<I, O>,
    request: Encodable<I>,
    signal: AbortSignal,
  ): AsyncIterable<Decoded<O>>;
  close(): void;
}

/** A long list of containers, or the output of ExecSync (16 MiB of each stream). */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

const CHANNEL_OPTIONS = {
  "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1000,
  "grpc.enable_retries": 0,
};

/** The library is read with the first connection: who runs no container does not pay for it. */
export async function connectCri(socketPath: string, clock: Clock): Promise<CriClient> {
  const grpc = await import("@grpc/grpc-js");
  const client = new grpc.Client(
    `unix://${socketPath}`,
    grpc.credentials.createInsecure(),
    CHANNEL_OPTIONS,
  );
  return {
    call: (method, request, options) => unaryCall(client, clock, method, request, options),
    stream: (method, request, signal) => streamingCall(client, method, request, signal),
    close: () => client.close(),
  };
}

function unaryCall<I extends MessageType, O extends MessageType>(
  client: Client,
  clock: Clock,
  method: CriMethod<I, O>,
  request: Encodable<I>,
  { timeoutMs, signal }: CallOptions,
): Promise<Decoded<O>> {
  return new Promise((resolve, reject) => {
    let late = false;
    const end = (error: ServiceError | null, response?: Decoded<O>): void => {
      cancelTimer();
      signal?.removeEventListener("abort", cancel);
      if (late)
        reject(new CriError(method.path, DEADLINE_EXCEEDED, `no answer in ${timeoutMs} ms`));
      else if (error !== null) reject(asCriError(method.path, error));
      else if (response === undefined) reject(new CriError(method.path, UNKNOWN, "no answer"));
      else resolve(response);
    };
    const call = client.makeUnaryRequest(
      method.path,
      (message: Encodable<I>) => encode(method.input, message),
      (data: Buffer) => decode(method.output, data),
      request,
      end,
    );
    const cancel = (): void => call.cancel();
    const cancelTimer = clock.after(timeoutMs, () => {
      late = true;
      cancel();
    });
    signal?.addEventListener("abort", cancel, { once: true });
    if (signal?.aborted) cancel();
  });
}

async function* streamingCall<I extends MessageType, O extends MessageType>(
  client: Client,
  method: CriMethod<I, O>,
  request: Encodable<I>,
  signal: AbortSignal,
): AsyncGenerator<Decoded<O>> {
  const call = client.makeServerStreamRequest(
    method.path,
    (message: Encodable<I>) => encode(method.input, message),
    (data: Buffer) => decode(method.output, data),
    request,
  );
  const cancel = (): void => call.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  try {
    for await (const message of call) yield message;
  } catch (error) {
    if (!signal.aborted) throw asCriError(method.path, error);
  } finally {
    signal.removeEventListener("abort", cancel);
    cancel();
  }
}

function asCriError(path: string, error: unknown): CriError {
  const method = path.slice(path.lastIndexOf("/") + 1);
  if (error instanceof Error && "code" in error && "details" in error) {
    return new CriError(method, Number(error.code), String(error.details));
  }
  return new CriError(method, UNKNOWN, String(error));
}
