import { NetworkError } from "./network.ts";

const DEFAULT_BUFFER_BYTES = 64n * 1024n;
const DEFAULT_IDLE_NS = 7_200_000_000_000n;
const DEFAULT_INTERVAL_NS = 75_000_000_000n;
const DEFAULT_COUNT = 9;
const DEFAULT_HOPS = 64;

/** The options that all sockets have; they are kept and answered, the system has its own sizes. */
export class SocketOptions {
  #hops = DEFAULT_HOPS;
  #receive = DEFAULT_BUFFER_BYTES;
  #send = DEFAULT_BUFFER_BYTES;

  get hopLimit(): number {
    return this.#hops;
  }

  set hopLimit(value: number) {
    this.#hops = positive(value);
  }

  get receiveBufferSize(): bigint {
    return this.#receive;
  }

  set receiveBufferSize(value: bigint) {
    this.#receive = positive(value);
  }

  get sendBufferSize(): bigint {
    return this.#send;
  }

  set sendBufferSize(value: bigint) {
    this.#send = positive(value);
  }
}

/** What TCP adds; durations are nanoseconds. */
export class TcpOptions extends SocketOptions {
  keepAlive = false;
  #idleNs = DEFAULT_IDLE_NS;
  #intervalNs = DEFAULT_INTERVAL_NS;
  #count = DEFAULT_COUNT;

  get idleNs(): bigint {
    return this.#idleNs;
  }

  set idleNs(value: bigint) {
    this.#idleNs = positive(value);
  }

  get intervalNs(): bigint {
    return this.#intervalNs;
  }

  set intervalNs(value: bigint) {
    this.#intervalNs = positive(value);
  }

  get count(): number {
    return this.#count;
  }

  set count(value: number) {
    this.#count = positive(value);
  }
}

/** Throws invalid-argument for zero. */
export function positive<Value extends number | bigint>(value: Value): Value {
  if (value <= 0) throw new NetworkError("invalid-argument");
  return value;
}
