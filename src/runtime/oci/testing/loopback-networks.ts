import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PodSandboxConfig } from "../../runtime.ts";
import type { PodNetworks, SandboxKey } from "../pod-networks.ts";

/** Gives the pod its address on its own loopback interface: nothing of the machine is touched. */
const PLUGIN = `#!/bin/sh
if [ "$CNI_COMMAND" = VERSION ]; then
  echo '{"cniVersion":"0.4.0","supportedVersions":["0.3.1","0.4.0"]}'
  exit
fi
[ "$CNI_COMMAND" = ADD ] || exit 0
uid=\${CNI_ARGS##*K8S_POD_UID=}
ip=$(cat "DIRECTORY/pods/\${uid%%;*}")
nsenter --net="$CNI_NETNS" ip link set lo up
nsenter --net="$CNI_NETNS" ip address add "$ip/32" dev lo
echo "$CNI_NETNS" > "DIRECTORY/namespaces/$ip"
echo '{"cniVersion":"0.4.0","interfaces":[{"name":"eth0","sandbox":"'"$CNI_NETNS"'"}],
"ips":[{"version":"4","interface":0,"address":"'"$ip"'/32"}]}'
`;
const LOOPBACK = `#!/bin/sh
echo '{"cniVersion":"0.3.1"}'
`;
const CONFIGURATION = JSON.stringify({
  cniVersion: "0.4.0",
  name: "test",
  plugins: [{ type: "test" }],
});

/** A network for tests: pods have addresses, and are reached from within their namespaces. */
export class LoopbackNetworks implements PodNetworks {
  readonly pluginDirectory: string;
  readonly configDirectory: string;
  readonly released: SandboxKey[] = [];
  readonly #directory: string;
  #next = 1;

  constructor(directory: string) {
    this.#directory = directory;
    this.pluginDirectory = join(directory, "bin");
    this.configDirectory = join(directory, "conf");
    for (const part of ["bin", "conf", "pods", "namespaces"]) {
      mkdirSync(join(directory, part), { recursive: true });
    }
  }

  async open(): Promise<void> {
    const plugin = PLUGIN.replaceAll("DIRECTORY", this.#directory);
    writeFileSync(join(this.pluginDirectory, "test"), plugin, { mode: 0o755 });
    writeFileSync(join(this.pluginDirectory, "loopback"), LOOPBACK, { mode: 0o755 });
    writeFileSync(join(this.configDirectory, "10-test.conflist"), CONFIGURATION);
  }

  updateRange(): void {
    // All addresses are of one range that nobody shares.
  }

  async prepare({ uid }: PodSandboxConfig): Promise<{ readonly ip: string }> {
    const ip = `10.250.0.${this.#next++}`;
    writeFileSync(join(this.#directory, "pods", uid), ip);
    return { ip };
  }

  async started(): Promise<void> {
    // Nothing leads to the pods.
  }

  async release(key: SandboxKey): Promise<void> {
    this.released.push(key);
    rmSync(join(this.#directory, "pods", key.uid), { force: true });
  }

  async reconcile(): Promise<void> {
    // Namespaces go with their pods, and all else goes with the directory.
  }

  /** The file of the network namespace in which the address is. */
  namespaceOf(ip: string): string {
    return readFileSync(join(this.#directory, "namespaces", ip), "utf8").trim();
  }
}
