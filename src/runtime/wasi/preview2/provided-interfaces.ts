export interface ProvidedInterface {
  /** The functions that may wait; the translator marks them as suspending. */
  readonly suspending: readonly string[];
}

/**
 * The interfaces this host provides, without version. This file imports nothing, so that whoever
 * only wants to know what a component lacks can read it cheaply.
 */
export const PROVIDED_INTERFACES: Readonly<Record<string, ProvidedInterface>> = {
  "wasi:cli/environment": never(),
  "wasi:cli/exit": never(),
  "wasi:cli/stdin": never(),
  "wasi:cli/stdout": never(),
  "wasi:cli/stderr": never(),
  "wasi:cli/terminal-input": never(),
  "wasi:cli/terminal-output": never(),
  "wasi:cli/terminal-stdin": never(),
  "wasi:cli/terminal-stdout": never(),
  "wasi:cli/terminal-stderr": never(),
  "wasi:clocks/monotonic-clock": never(),
  "wasi:clocks/wall-clock": never(),
  "wasi:clocks/timezone": never(),
  "wasi:random/random": never(),
  "wasi:random/insecure": never(),
  "wasi:random/insecure-seed": never(),
  "wasi:io/error": never(),
  "wasi:io/poll": { suspending: ["poll", "[method]pollable.block"] },
  "wasi:io/streams": {
    suspending: [
      "[method]input-stream.blocking-read",
      "[method]input-stream.blocking-skip",
      "[method]output-stream.blocking-write-and-flush",
      "[method]output-stream.blocking-flush",
      "[method]output-stream.blocking-write-zeroes-and-flush",
      "[method]output-stream.blocking-splice",
    ],
  },
  "wasi:filesystem/types": never(),
  "wasi:filesystem/preopens": never(),
  "wasi:http/types": never(),
  "wasi:http/outgoing-handler": never(),
  "wasi:sockets/network": never(),
  "wasi:sockets/instance-network": never(),
  "wasi:sockets/ip-name-lookup": never(),
  "wasi:sockets/tcp": never(),
  "wasi:sockets/tcp-create-socket": never(),
  "wasi:sockets/udp": never(),
  "wasi:sockets/udp-create-socket": never(),
  "wasi:config/store": never(),
  "wasi:config/runtime": never(),
  "wasi:logging/logging": never(),
  "wasi:keyvalue/store": {
    suspending: [
      "[method]bucket.get",
      "[method]bucket.set",
      "[method]bucket.delete",
      "[method]bucket.exists",
      "[method]bucket.list-keys",
    ],
  },
  "wasi:keyvalue/atomics": { suspending: ["increment", "swap", "[static]cas.new"] },
  "wasi:blobstore/blobstore": never(),
  "wasi:blobstore/container": never(),
  "wasi:blobstore/types": never(),
  "fermyon:spin/variables": never(),
  "fermyon:spin/config": never(),
  "fermyon:spin/key-value": {
    suspending: [
      "[method]store.get",
      "[method]store.set",
      "[method]store.delete",
      "[method]store.exists",
      "[method]store.get-keys",
      "get",
      "set",
      "delete",
      "exists",
      "get-keys",
    ],
  },
  "fermyon:spin/sqlite": {
    suspending: ["[static]connection.open", "[method]connection.execute", "open", "execute"],
  },
  "wasi:keyvalue/batch": { suspending: ["get-many", "set-many", "delete-many"] },
};

function never(): ProvidedInterface {
  return { suspending: [] };
}
