/**
 * The interfaces of WASI 0.2 that a pod finds in a cluster of this version, without their version.
 * What runs them has the same table; a test holds them together.
 */
export const CLUSTER_INTERFACES: ReadonlySet<string> = new Set([
  "fermyon:spin/config",
  "fermyon:spin/key-value",
  "fermyon:spin/sqlite",
  "fermyon:spin/variables",
  "wasi:blobstore/blobstore",
  "wasi:blobstore/container",
  "wasi:blobstore/types",
  "wasi:cli/environment",
  "wasi:cli/exit",
  "wasi:cli/stderr",
  "wasi:cli/stdin",
  "wasi:cli/stdout",
  "wasi:cli/terminal-input",
  "wasi:cli/terminal-output",
  "wasi:cli/terminal-stderr",
  "wasi:cli/terminal-stdin",
  "wasi:cli/terminal-stdout",
  "wasi:clocks/monotonic-clock",
  "wasi:clocks/timezone",
  "wasi:clocks/wall-clock",
  "wasi:config/runtime",
  "wasi:config/store",
  "wasi:filesystem/preopens",
  "wasi:filesystem/types",
  "wasi:http/outgoing-handler",
  "wasi:http/types",
  "wasi:io/error",
  "wasi:io/poll",
  "wasi:io/streams",
  "wasi:keyvalue/atomics",
  "wasi:keyvalue/batch",
  "wasi:keyvalue/store",
  "wasi:logging/logging",
  "wasi:random/insecure",
  "wasi:random/insecure-seed",
  "wasi:random/random",
  "wasi:sockets/instance-network",
  "wasi:sockets/ip-name-lookup",
  "wasi:sockets/network",
  "wasi:sockets/tcp",
  "wasi:sockets/tcp-create-socket",
  "wasi:sockets/udp",
  "wasi:sockets/udp-create-socket",
]);

/** Where a core module finds WASI preview 1. */
export const PREVIEW_ONE_MODULE = "wasi_snapshot_preview1";

/** Every function of WASI preview 1; other names in that module are another runtime's own. */
export const PREVIEW_ONE_FUNCTIONS: ReadonlySet<string> = new Set(
  `args_get args_sizes_get environ_get environ_sizes_get clock_res_get clock_time_get fd_advise
   fd_allocate fd_close fd_datasync fd_fdstat_get fd_fdstat_set_flags fd_fdstat_set_rights
   fd_filestat_get fd_filestat_set_size fd_filestat_set_times fd_pread fd_prestat_dir_name
   fd_prestat_get fd_pwrite fd_read fd_readdir fd_renumber fd_seek fd_sync fd_tell fd_write
   path_create_directory path_filestat_get path_filestat_set_times path_link path_open
   path_readlink path_remove_directory path_rename path_symlink path_unlink_file poll_oneoff
   proc_exit proc_raise random_get sched_yield sock_accept sock_recv sock_send sock_shutdown`
    .trim()
    .split(/\s+/),
);

/** Grants of a pod, by the interface that needs one. */
export const GRANTS: ReadonlyMap<string, { annotation: string; example: string }> = new Map(
  (
    [
      ["wasi:http/outgoing-handler", "kubun.dev/allowed-outgoing-hosts", "http://my-service"],
      [
        "wasi:sockets/tcp-create-socket",
        "kubun.dev/allowed-outgoing-hosts",
        "tcp://my-service:5432",
      ],
      ["wasi:sockets/udp-create-socket", "kubun.dev/allowed-outgoing-hosts", "udp://my-service:53"],
      ["wasi:keyvalue/store", "kubun.dev/keyvalue-stores", "default"],
      ["fermyon:spin/key-value", "kubun.dev/keyvalue-stores", "default"],
      ["wasi:blobstore/blobstore", "kubun.dev/blob-containers", "default=/data/blobs"],
      ["fermyon:spin/sqlite", "kubun.dev/sqlite-databases", "default=/data/app.db"],
    ] as const
  ).map(([name, annotation, example]) => [name, { annotation, example }]),
);
