/** What the cluster provides under one interface of the component model. */
export interface ProvidedInterface {
  /** The functions that may wait; the translator marks them as suspending. */
  readonly suspending: readonly string[];
  /** What versions begin with, where one does not do for all; empty for none. */
  readonly versions?: readonly string[];
  /** The pod's annotation without which calls are denied, and an example of its value. */
  readonly grant?: InterfaceGrant;
}

export interface InterfaceGrant {
  readonly annotation: string;
  readonly example: string;
}

/** Spin's interfaces have changed their functions, and others came to them in version 3. */
const SPIN_VERSIONS = ["", "2."];
/** Before this draft its resources were numbers. */
const BLOBSTORE_VERSIONS = ["0.2.0-draft"];

/**
 * The interfaces that components find in a cluster of this version, without version: the one table
 * that what runs them and what tells of images read.
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
  "wasi:http/outgoing-handler": granted("kubun.dev/allowed-outgoing-hosts", "http://my-service"),
  "wasi:sockets/network": never(),
  "wasi:sockets/instance-network": never(),
  "wasi:sockets/ip-name-lookup": never(),
  "wasi:sockets/tcp": never(),
  "wasi:sockets/tcp-create-socket": granted(
    "kubun.dev/allowed-outgoing-hosts",
    "tcp://my-service:5432",
  ),
  "wasi:sockets/udp": never(),
  "wasi:sockets/udp-create-socket": granted(
    "kubun.dev/allowed-outgoing-hosts",
    "udp://my-service:53",
  ),
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
    grant: { annotation: "kubun.dev/keyvalue-stores", example: "default" },
  },
  "wasi:keyvalue/atomics": { suspending: ["increment", "swap", "[static]cas.new"] },
  "wasi:blobstore/blobstore": {
    suspending: [],
    versions: BLOBSTORE_VERSIONS,
    grant: { annotation: "kubun.dev/blob-containers", example: "default=/data/blobs" },
  },
  "wasi:blobstore/container": { suspending: [], versions: BLOBSTORE_VERSIONS },
  "wasi:blobstore/types": { suspending: [], versions: BLOBSTORE_VERSIONS },
  "fermyon:spin/variables": { suspending: [], versions: SPIN_VERSIONS },
  "fermyon:spin/config": { suspending: [], versions: SPIN_VERSIONS },
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
    grant: { annotation: "kubun.dev/keyvalue-stores", example: "default" },
    versions: SPIN_VERSIONS,
  },
  "fermyon:spin/sqlite": {
    suspending: ["[static]connection.open", "[method]connection.execute", "open", "execute"],
    grant: { annotation: "kubun.dev/sqlite-databases", example: "default=/data/app.db" },
    versions: SPIN_VERSIONS,
  },
  "wasi:keyvalue/batch": { suspending: ["get-many", "set-many", "delete-many"] },
};

/** Prefixes of interfaces that others provide, and what there is instead. */
const STRANGERS: readonly (readonly [prefix: string, why: string])[] = [
  ["fermyon:spin/http", "Spin's own interface; wasi:http/outgoing-handler is provided"],
  ["spin:sqlite/", "Spin's own interface; fermyon:spin/sqlite@2.0.0 is provided"],
  ["fermyon:spin/", "Spin's own interface"],
  ["spin:", "Spin's own interface"],
  ["fermyon:", "Spin's own interface"],
  ["wasmcloud:", "wasmCloud's own interface"],
  ["wrpc:", "wasmCloud's own interface"],
  ["wasi:keyvalue/watcher", "nothing calls wasi:keyvalue/watcher yet"],
  ["wasi:messaging/", "no messaging is provided"],
  ["wasi:nn/", "no machine learning is provided"],
  ["wasi:sqlite/", "not provided; fermyon:spin/sqlite@2.0.0 is"],
  ["wasi:sql/", "no SQL is provided but fermyon:spin/sqlite@2.0.0"],
  ["wasi:tls/", "no TLS of its own is provided; wasi:http/outgoing-handler speaks https"],
  ["wasi:webgpu/", "no GPU is provided"],
];
const WASI_0_3 = /^wasi:.*@0\.3\./;
/** Of all interfaces of WASI 0.3. */
export const THIRD_PREVIEW = "WASI 0.3, which is not run yet: build the component for WASI 0.2";
export const UNKNOWN_INTERFACE = "an interface nobody provides";

/** Why a component that imports this is refused; undefined for what is provided. */
export function interfaceRefusal(name: string): string | undefined {
  if (isThirdPreview(name)) return THIRD_PREVIEW;
  const plain = withoutVersion(name);
  const version = name.slice(plain.length + 1);
  if (Object.hasOwn(PROVIDED_INTERFACES, plain)) {
    const versions = PROVIDED_INTERFACES[plain]?.versions;
    if (versions === undefined) return undefined;
    const fits = versions.some((start) =>
      start === "" ? version === "" : version.startsWith(start),
    );
    if (fits) return undefined;
    const wanted = versions.map((start) => (start === "" ? "none" : start.replace(/\.$/, ".x")));
    return `provided in version ${wanted.join(" or ")}`;
  }
  const known = STRANGERS.find(([prefix]) => plain.startsWith(prefix));
  if (known !== undefined) return known[1];
  return plain.includes(":") ? UNKNOWN_INTERFACE : "a function nobody provides";
}

export function isThirdPreview(name: string): boolean {
  return WASI_0_3.test(name);
}

/** `wasi:io/streams@0.2.6` → `wasi:io/streams`. */
export function withoutVersion(name: string): string {
  return name.replace(/@[^@]*$/, "");
}

function never(): ProvidedInterface {
  return { suspending: [] };
}

function granted(annotation: string, example: string): ProvidedInterface {
  return { suspending: [], grant: { annotation, example } };
}
