import type { Exchange } from "./forwarder.ts";

const LENGTH_BYTES = 2;

/** Asks a resolver over UDP, each question from a port of its own. */
export const exchangeOverUdp: Exchange = async ({ address, port }, query, signal) => {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const socket = await Bun.udpSocket({
    connect: { hostname: address, port },
    socket: {
      data: (_socket, data) => resolve(Uint8Array.from(data)),
      error: (_socket, error) => reject(error),
    },
  });
  signal.addEventListener("abort", () => reject(new Error("no answer in time")), { once: true });
  socket.send(query);
  return promise.finally(() => socket.close());
};

/** The same over TCP, for answers that do not fit a datagram. */
export const exchangeOverTcp: Exchange = async ({ address, port }, query, signal) => {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  let received = Buffer.alloc(0);
  const socket = await Bun.connect({
    hostname: address,
    port,
    socket: {
      data(_socket, chunk) {
        received = Buffer.concat([received, chunk]);
        if (received.length < LENGTH_BYTES) return;
        const end = LENGTH_BYTES + received.readUInt16BE(0);
        if (received.length >= end) resolve(received.subarray(LENGTH_BYTES, end));
      },
      close: () => reject(new Error(`${address}:${port} closed without an answer`)),
      error: (_socket, error) => reject(error),
    },
  });
  signal.addEventListener("abort", () => reject(new Error("no answer in time")), { once: true });
  socket.write(framed(query));
  return promise.finally(() => socket.terminate());
};

/** A message as it goes over TCP: its length before it. */
export function framed(message: Uint8Array): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}
