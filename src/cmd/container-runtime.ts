import { join } from "node:path";
import type { Clock, Logger } from "../lib/index.ts";
import {
  type AddressRanges,
  createNetworkCommands,
  createProcessSpawner,
  openLocalRanges,
  ROUTE_PROTOCOL,
} from "../os/index.ts";
import {
  type BridgeNetworks,
  containerNamespaceDirectory,
  createBridgeNetworks,
  createCriStreams,
  createMixedRuntime,
  createOciRuntime,
  type RegistryRoute,
  type RuntimePart,
  type WasiRuntime,
} from "../runtime/index.ts";
import { bridgeOf } from "./choose-ranges.ts";
import type { DataDirectory } from "./data-directory.ts";

/** The handler of sandboxes that are a container runtime's. */
const CONTAINER_HANDLER = "runc";

export interface ContainerRuntimeChoice {
  readonly directory: DataDirectory;
  readonly ranges: AddressRanges;
  /** "own", "none" or "unix:///…", as the flag says. */
  readonly endpoint?: string;
  /** Where the runtime finds the cluster's own images. */
  readonly registries: () => readonly RegistryRoute[];
  /** Told of the network of the containers, where there can be any. */
  readonly onNetworks?: (networks: BridgeNetworks) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The WASM runtime alone, or with one for containers beside it; neither started yet. */
export function besideContainers(wasm: WasiRuntime, choice: ContainerRuntimeChoice): RuntimePart {
  const { directory, ranges, endpoint, clock } = choice;
  if (endpoint === "none") return wasm;
  const logger = choice.logger.child({ room: "containers" });
  const place = directory.containers;
  const bridge = bridgeOf(directory);
  const commands = createNetworkCommands();
  const isOwn = endpoint === undefined || endpoint === "own";
  const networks = createBridgeNetworks({
    directory: join(place, "network"),
    bridge,
    ranges,
    openRanges: () => openLocalRanges(commands, bridge, ranges),
    commands,
    logger,
    ...(isOwn ? { namespaceDirectory: containerNamespaceDirectory(place) } : {}),
    routeProtocol: ROUTE_PROTOCOL,
  });
  choice.onNetworks?.(networks);
  const oci = createOciRuntime({
    directory: place,
    socketDirectory: directory.sockets,
    ...(isOwn ? {} : { endpoint }),
    networks,
    streams: createCriStreams({ clock }),
    registries: choice.registries,
    processes: createProcessSpawner(),
    clock,
    logger,
  });
  return createMixedRuntime({
    wasm,
    oci,
    directory: join(directory.runtime, "container-pods"),
    ...(isOwn ? {} : { asksAlways: true }),
    logger,
  });
}

/**
 * Takes down the pods of a containerd of our own with their networks: it ends with the last. What
 * modules ran in stays, for the next server to run them in.
 */
export async function removeContainerPods(
  runtime: RuntimePart,
  { endpoint, logger }: { readonly endpoint: string | undefined; readonly logger: Logger },
): Promise<void> {
  if (endpoint !== undefined && endpoint !== "own") return;
  const pods = await runtime.listPodSandboxes();
  const ofContainers = pods.filter(({ handler }) => handler === CONTAINER_HANDLER);
  const removals = ofContainers.map(async ({ id, name, namespace }) => {
    try {
      await runtime.removePodSandbox(id);
    } catch (error) {
      // The rest of the cluster has to end all the same: its store above all.
      logger.error("a pod with containers was not taken down", { namespace, name, error });
    }
  });
  await Promise.all(removals);
}
