import type { PodGrants } from "../component/pod-grants.ts";
import type { HostClock } from "../host/host-clock.ts";
import type { OutputStream } from "../host/streams.ts";
import type { BodyPipe } from "./http/body-pipe.ts";
import type { InputSource } from "./io/input-stream.ts";
import type { PortListeners } from "./sockets/port-listeners.ts";
import type { WorkerPreopen } from "../worker-protocol.ts";

/** Everything of one container that its instances share. */
export interface PreviewTwoOptions {
  readonly args: readonly string[];
  readonly env: readonly (readonly [name: string, value: string])[];
  readonly preopens: readonly WorkerPreopen[];
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly clock: HostClock;
  readonly grants: PodGrants;
  /** Unix socket of the way out of the pod; absent: every outgoing call is refused. */
  readonly egressPath?: string;
  /** Unix socket of the way to key-value stores; absent: every store is refused. */
  readonly keyvaluePath?: string;
  /** The container's ports, where its component may listen itself. */
  readonly listeners?: PortListeners;
  /** Writes one line into the container's log. */
  note(line: string): void;
}

/** What the instances of one container share: directories, connections, what was told once. */
export interface PreviewTwo {
  instance(): PreviewTwoInstance;
  /** Closes what is shared; instances are closed before. */
  close(): void;
}

/** The host side of one instance of a component. */
export interface PreviewTwoInstance {
  /**
   * What the generated `instantiate` takes: by interface name without version
   * ("wasi:io/streams"), functions in camelCase, resources as classes.
   */
  readonly imports: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /**
   * Makes the two arguments of incoming-handler's `handle`. `response` resolves when the guest
   * sets its response-outparam, and rejects with {@link HttpError} when it sets an error code or
   * drops it unset, and with the reason when the instance is closed before.
   */
  incoming(request: IncomingHttp): {
    readonly request: object;
    readonly responseOut: object;
    readonly response: Promise<OutgoingHttp>;
  };
  /** Handles that the guest has, of whatever kind. */
  readonly resources: number;
  /** Ends streams, sockets, files and timers of this instance; waiting calls reject. */
  close(): void;
}

export type HttpHeaders = readonly (readonly [name: string, value: Uint8Array])[];

/** A request on its way to a guest. */
export interface IncomingHttp {
  readonly method: string;
  readonly scheme: "http" | "https";
  readonly authority?: string;
  readonly pathWithQuery: string;
  readonly headers: HttpHeaders;
  /** Read as the guest reads; closed when the guest drops the body. */
  readonly body: InputSource | undefined;
  /** What follows the body, where the server knows it. */
  readonly trailers?: Promise<HttpHeaders | undefined>;
}

/** A guest's response. */
export interface OutgoingHttp {
  readonly status: number;
  readonly headers: HttpHeaders;
  /** Bytes when the guest finished before it returned; a pipe when it may still write. */
  readonly body: BodyPipe | Uint8Array;
  /** The length that the guest declared. */
  readonly declaredLength?: number | undefined;
  /** What follows a body that is there; a pipe has them in its end. */
  readonly trailers?: HttpHeaders | undefined;
}
