import { FD_FLAGS, RECV_FLAGS, RIGHTS, SHUTDOWN } from "./abi.ts";
import { fullDescriptor, type Descriptor } from "./descriptor-table.ts";
import type { Connection } from "./connection.ts";
import { ERRNO, errnoOf, WasiError } from "./errno.ts";
import type { HostState } from "./host-state.ts";
import type { Listener } from "./listener.ts";

/**
 * Bytes one call writes to a socket or a stream at most: the guest comes back with the rest. Its
 * buffers may all be the same one, so that together they can be many times its memory.
 */
export const MAX_WRITE_BYTES = 1024 * 1024;

/**
 * Reading, writing and accepting: what may have to wait. Each function answers at once when it can;
 * only then does it become a promise, which suspends the guest.
 */
export function streamFunctions(state: HostState) {
  return {
    ...transferFunctions(state),
    ...socketFunctions(state),
    sched_yield(): Promise<number> {
      return state.wakeup.turn().then(() => ERRNO.success);
    },
  };
}

function transferFunctions(state: HostState) {
  const { memory } = state;
  return {
    fd_read(fd: number, iovecs: number, count: number, result: number): number | Promise<number> {
      const descriptor = readable(state, fd);
      const { target } = descriptor;
      switch (target.kind) {
        case "file":
          memory.setUint32(result, target.read(memory.iovecs(iovecs, count)));
          return ERRNO.success;
        case "input": {
          const [buffer] = memory.iovecs(iovecs, count);
          memory.setUint32(result, buffer === undefined ? 0 : target.read(buffer));
          return ERRNO.success;
        }
        case "connection":
          return receive(state, { target, descriptor, iovecs, count, flags: 0, result });
        case "directory":
        case "output":
        case "listener":
          throw new WasiError(ERRNO.badf);
      }
    },
    fd_write(fd: number, iovecs: number, count: number, result: number): number | Promise<number> {
      const descriptor = writable(state, fd);
      const { target } = descriptor;
      switch (target.kind) {
        case "file":
          memory.setUint32(result, target.write(memory.iovecs(iovecs, count), descriptor.flags));
          return ERRNO.success;
        case "output": {
          const bytes = gathered(memory.iovecs(iovecs, count));
          memory.setUint32(result, bytes.length);
          const pending = bytes.length === 0 ? undefined : target.write(bytes);
          return pending === undefined ? ERRNO.success : pending.then(() => ERRNO.success);
        }
        case "connection":
          return send(state, { target, descriptor, iovecs, count, result });
        case "directory":
        case "input":
        case "listener":
          throw new WasiError(ERRNO.badf);
      }
    },
  };
}

function socketFunctions(state: HostState) {
  const { memory } = state;
  return {
    sock_accept(fd: number, flags: number, result: number): number | Promise<number> {
      const descriptor = socketOf(state, fd, RIGHTS.sockAccept);
      const { target } = descriptor;
      if (target.kind !== "listener" || flags & ~FD_FLAGS.nonblock) {
        throw new WasiError(ERRNO.inval);
      }
      memory.slice(result, 4);
      return accept(state, target, { listening: descriptor, flags, result });
    },
    sock_recv(
      fd: number,
      iovecs: number,
      count: number,
      flags: number,
      result: number,
      outFlags: number,
    ): number | Promise<number> {
      const descriptor = socketOf(state, fd, RIGHTS.fdRead);
      const { target } = descriptor;
      if (target.kind !== "connection") throw new WasiError(ERRNO.notconn);
      memory.setUint16(outFlags, 0);
      return receive(state, { target, descriptor, iovecs, count, flags, result });
    },
    sock_send(
      fd: number,
      iovecs: number,
      count: number,
      flags: number,
      result: number,
    ): number | Promise<number> {
      const descriptor = socketOf(state, fd, RIGHTS.fdWrite);
      const { target } = descriptor;
      if (target.kind !== "connection") throw new WasiError(ERRNO.notconn);
      if (flags !== 0) throw new WasiError(ERRNO.inval);
      return send(state, { target, descriptor, iovecs, count, result });
    },
    sock_shutdown(fd: number, sides: number): number {
      const { target } = socketOf(state, fd, RIGHTS.sockShutdown);
      if (target.kind !== "connection") throw new WasiError(ERRNO.notconn);
      if (sides === 0 || sides & ~(SHUTDOWN.read | SHUTDOWN.write)) {
        throw new WasiError(ERRNO.inval);
      }
      target.shutdown({
        read: (sides & SHUTDOWN.read) !== 0,
        write: (sides & SHUTDOWN.write) !== 0,
      });
      return ERRNO.success;
    },
  };
}

interface Transfer {
  readonly target: Connection;
  readonly descriptor: Descriptor;
  readonly iovecs: number;
  readonly count: number;
  readonly result: number;
}

function receive(
  state: HostState,
  transfer: Transfer & { readonly flags: number },
): number | Promise<number> {
  const { memory } = state;
  const { target, iovecs, count, flags, result } = transfer;
  if (flags & ~(RECV_FLAGS.peek | RECV_FLAGS.waitall)) throw new WasiError(ERRNO.inval);
  const buffers = memory.iovecs(iovecs, count);
  if (buffers.length === 0) {
    memory.setUint32(result, 0);
    return ERRNO.success;
  }
  if (!target.readable) {
    if (isNonblocking(transfer)) return again(state);
    return state.wakeup
      .wait([{ source: target, side: "read" }])
      .then(() => answered(() => receive(state, transfer)));
  }
  const peek = (flags & RECV_FLAGS.peek) !== 0;
  if (flags & RECV_FLAGS.waitall && !peek && !isNonblocking(transfer)) {
    return receiveAll(state, target, buffers, result);
  }
  memory.setUint32(result, target.read(buffers, { peek }));
  return ERRNO.success;
}

/** Waits until the buffers are full or the peer is done. */
async function receiveAll(
  state: HostState,
  target: Connection,
  buffers: readonly Uint8Array[],
  result: number,
): Promise<number> {
  let total = 0;
  for (const buffer of buffers) {
    let filled = 0;
    while (filled < buffer.length) {
      if (!target.readable) await state.wakeup.wait([{ source: target, side: "read" }]);
      if (!target.readable) continue;
      const count = readOrEnd(target, buffer.subarray(filled), { received: total + filled });
      if (count === 0) break;
      filled += count;
    }
    total += filled;
    if (filled < buffer.length) break;
  }
  state.memory.setUint32(result, total);
  return ERRNO.success;
}

/** A reset is told by the next call, when this one has received something. */
function readOrEnd(
  target: Connection,
  buffer: Uint8Array,
  { received }: { readonly received: number },
): number {
  if (received > 0 && target.failed) return 0;
  return target.read([buffer], { peek: false });
}

function isNonblocking({ descriptor }: Transfer): boolean {
  return (descriptor.flags & FD_FLAGS.nonblock) !== 0;
}

function send(state: HostState, transfer: Transfer): number | Promise<number> {
  const { memory } = state;
  const buffers = memory.iovecs(transfer.iovecs, transfer.count);
  if (buffers.length === 0) {
    memory.setUint32(transfer.result, 0);
    return ERRNO.success;
  }
  const bytes = gathered(buffers);
  const written = transfer.target.write(bytes);
  if (written > 0) {
    memory.setUint32(transfer.result, written);
    return ERRNO.success;
  }
  if (isNonblocking(transfer)) return again(state);
  return state.wakeup
    .wait([{ source: transfer.target, side: "write" }])
    .then(() => answered(() => send(state, transfer)));
}

interface Accepting {
  readonly listening: Descriptor;
  readonly flags: number;
  readonly result: number;
}

function accept(
  state: HostState,
  listener: Listener,
  accepting: Accepting,
): number | Promise<number> {
  if (listener.pending === 0) {
    if (accepting.listening.flags & FD_FLAGS.nonblock) return again(state);
    return state.wakeup
      .wait([{ source: listener, side: "read" }])
      .then(() => answered(() => accept(state, listener, accepting)));
  }
  const connection = listener.accept();
  try {
    const descriptor = fullDescriptor(connection, accepting.flags & FD_FLAGS.nonblock);
    state.memory.setUint32(accepting.result, state.descriptors.insert(descriptor));
  } catch (error) {
    connection.close();
    throw error;
  }
  return ERRNO.success;
}

/** EAGAIN; a guest that asks again and again lets the event loop run between. */
function again(state: HostState): number | Promise<number> {
  if (!state.wakeup.mustTurn()) return ERRNO.again;
  return state.wakeup.turn().then(() => ERRNO.again);
}

/** Inside a promise, an error number must be the answer: nobody above catches it. */
async function answered(attempt: () => number | Promise<number>): Promise<number> {
  try {
    return await attempt();
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    return errno;
  }
}

function readable(state: HostState, fd: number): Descriptor {
  const descriptor = state.descriptors.get(fd);
  // POSIX and its test suites want EBADF for the wrong direction, not ENOTCAPABLE.
  if ((descriptor.rights & RIGHTS.fdRead) === 0) throw new WasiError(ERRNO.badf);
  return descriptor;
}

function writable(state: HostState, fd: number): Descriptor {
  const descriptor = state.descriptors.get(fd);
  if ((descriptor.rights & RIGHTS.fdWrite) === 0) throw new WasiError(ERRNO.badf);
  return descriptor;
}

function socketOf(state: HostState, fd: number, rights: number): Descriptor {
  const { target } = state.descriptors.get(fd);
  if (target.kind !== "listener" && target.kind !== "connection") {
    throw new WasiError(ERRNO.notsock);
  }
  return state.descriptors.require(fd, rights);
}

/** The buffers' bytes in a row, as many of them as one call writes. */
function gathered(buffers: readonly Uint8Array[]): Uint8Array {
  const [first] = buffers;
  if (first !== undefined && buffers.length === 1) return first.subarray(0, MAX_WRITE_BYTES);
  const parts: Uint8Array[] = [];
  let room = MAX_WRITE_BYTES;
  for (const buffer of buffers) {
    if (room === 0) break;
    parts.push(buffer.subarray(0, room));
    room -= Math.min(room, buffer.length);
  }
  return Buffer.concat(parts);
}
