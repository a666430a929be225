import { PAUSE_IMAGE } from "./pause-image.ts";

/** Where our containerd keeps and finds things; absolute paths. */
export interface ContainerdPlaces {
  /** Content, snapshots, its database. */
  readonly root: string;
  /** What runs: bundles, namespaces of pods. */
  readonly state: string;
  /** runc's own records. */
  readonly runcRoot: string;
  readonly socketPath: string;
  readonly cniPluginDirectory: string;
  readonly cniConfigDirectory: string;
  /** One directory with hosts.toml a registry. */
  readonly registryDirectory: string;
}

export interface ContainerdConfigOptions {
  readonly places: ContainerdPlaces;
  readonly runc: string;
  /** Root without CAP_SYS_RESOURCE must not lower anybody's OOM score. */
  readonly mayLowerOomScore: boolean;
}

/**
 * What no machine that we run on needs, or what a machine has only when somebody set it up for
 * another containerd. It all would be probed at each start, and complained about in the log.
 */
const UNUSED_PLUGINS = [
  "io.containerd.internal.v1.opt",
  "io.containerd.internal.v1.restart",
  "io.containerd.internal.v1.tracing",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
];

/** The configuration file of our containerd (config.toml, version 2, since containerd 1.5). */
export function containerdConfig(options: ContainerdConfigOptions): string {
  const { places, runc, mayLowerOomScore } = options;
  const cri = '"io.containerd.grpc.v1.cri"';
  // Its words on each request would fill the disk; what goes wrong is said at "warn".
  return `version = 2
root = ${quote(places.root)}
state = ${quote(places.state)}
disabled_plugins = [${UNUSED_PLUGINS.map(quote).join(", ")}]

[debug]
  level = "warn"

[grpc]
  address = ${quote(places.socketPath)}

[plugins.${cri}]
  sandbox_image = ${quote(PAUSE_IMAGE)}
  restrict_oom_score_adj = ${!mayLowerOomScore}
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins.${cri}.cni]
    bin_dir = ${quote(places.cniPluginDirectory)}
    conf_dir = ${quote(places.cniConfigDirectory)}
  [plugins.${cri}.registry]
    config_path = ${quote(places.registryDirectory)}
  [plugins.${cri}.containerd]
    default_runtime_name = "runc"
    [plugins.${cri}.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins.${cri}.containerd.runtimes.runc.options]
        BinaryName = ${quote(runc)}
        Root = ${quote(places.runcRoot)}
        SystemdCgroup = false
`;
}

/** A basic string of TOML; JSON escapes what TOML wants escaped. */
export function quote(text: string): string {
  return JSON.stringify(text);
}
