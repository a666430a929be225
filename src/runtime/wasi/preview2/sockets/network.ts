import { hostCode } from "../../host/errno.ts";
import { isAllowed, type OutgoingScheme } from "../../component/pod-grants.ts";
import { ALLOWED_HOSTS_ANNOTATION, formatAllowedHost } from "../../component/pod-grants.ts";
import type { InstanceContext } from "../instance-context.ts";
import { GuestError } from "../io/guest-error.ts";
import { IoFailure } from "../io/io-failure.ts";
import { Resource } from "../io/resource.ts";

/** `error-code` of wasi:sockets/network. */
export type NetworkErrorCode =
  | "unknown"
  | "access-denied"
  | "not-supported"
  | "invalid-argument"
  | "out-of-memory"
  | "timeout"
  | "concurrency-conflict"
  | "not-in-progress"
  | "would-block"
  | "invalid-state"
  | "new-socket-limit"
  | "address-not-bindable"
  | "address-in-use"
  | "remote-unreachable"
  | "connection-refused"
  | "connection-reset"
  | "connection-aborted"
  | "datagram-too-large"
  | "name-unresolvable"
  | "temporary-resolver-failure"
  | "permanent-resolver-failure";

export class NetworkError extends GuestError<NetworkErrorCode> {}

/** Sockets an instance may have at once. */
export const MAX_SOCKETS = 256;

/** The resource `network`: there is one, and what it allows is the pod's grants. */
export class Network extends Resource {}

/** What the sockets of one instance share. */
export class SocketContext {
  readonly instance: InstanceContext;
  #open = 0;

  constructor(instance: InstanceContext) {
    this.instance = instance;
  }

  /** Throws new-socket-limit. */
  enter(): void {
    if (this.#open >= MAX_SOCKETS) throw new NetworkError("new-socket-limit");
    this.#open++;
  }

  leave(): void {
    this.#open--;
  }

  /**
   * Whether the guest may talk to an address: it is granted itself, or a granted name resolved to
   * it.
   */
  allows(scheme: OutgoingScheme, address: string, port: number): boolean {
    const { allowedHosts } = this.instance.options.grants;
    return this.#namesOf(address).some((name) => isAllowed(allowedHosts, scheme, name, port));
  }

  /** Throws access-denied, and says once in the log what is missing. */
  require(scheme: OutgoingScheme, address: string, port: number): void {
    if (this.allows(scheme, address, port)) return;
    const [, name = address] = this.#namesOf(address);
    this.instance.shared.denials.tell(
      `wasi:sockets/${scheme}`,
      formatAllowedHost(scheme, name, port),
      ALLOWED_HOSTS_ANNOTATION,
    );
    throw new NetworkError("access-denied");
  }

  /** Says once in the log why a port cannot be listened on. */
  denyPort(port: number): void {
    const { options, shared } = this.instance;
    const why =
      options.listeners === undefined
        ? "the container's ports are answered by its wasi:http handler"
        : "containerPorts of the container do not name it";
    shared.denials.unavailable("wasi:sockets/tcp", `listening on port ${port}`, why);
  }

  /** The address, and what it was the answer for. */
  #namesOf(address: string): readonly string[] {
    return [address, ...this.instance.shared.names.namesOf(address)];
  }
}

const FROM_HOST: Readonly<Record<string, NetworkErrorCode>> = {
  EACCES: "access-denied",
  EPERM: "access-denied",
  EADDRINUSE: "address-in-use",
  EADDRNOTAVAIL: "address-not-bindable",
  ECONNABORTED: "connection-aborted",
  ECONNREFUSED: "connection-refused",
  ECONNRESET: "connection-reset",
  EPIPE: "connection-reset",
  EHOSTUNREACH: "remote-unreachable",
  EINVAL: "invalid-argument",
  EMFILE: "new-socket-limit",
  EMSGSIZE: "datagram-too-large",
  ENETUNREACH: "remote-unreachable",
  ENFILE: "new-socket-limit",
  ENOMEM: "out-of-memory",
  ENOBUFS: "out-of-memory",
  ETIMEDOUT: "timeout",
};

/** The guest's error code for what a socket call threw. */
export function networkErrorCode(error: unknown): NetworkErrorCode {
  const code = hostCode(error);
  return (code === undefined ? undefined : FROM_HOST[code]) ?? "unknown";
}

/** Why a stream of a socket failed. */
export function socketFailure(code: NetworkErrorCode): IoFailure {
  return new IoFailure(`socket: ${code}`, { kind: "network", code });
}
