import { CommandError } from "../cli/index.ts";
import type { ClusterConnection } from "../cli/index.ts";

/** Runs an installed kubectl with this cluster's kubeconfig; resolves to its exit status. */
export async function runKubectl(
  args: readonly string[],
  cluster: ClusterConnection,
): Promise<number> {
  const kubectl = Bun.which("kubectl");
  if (kubectl === null) {
    throw new CommandError(
      "kubectl is not installed (not in PATH); the other verbs work without it, " +
        "and any kubectl does with: export KUBECONFIG=" +
        cluster.kubeconfig,
    );
  }
  const child = Bun.spawn({
    cmd: [kubectl, ...args],
    env: { ...process.env, KUBECONFIG: cluster.kubeconfig },
    stdio: ["inherit", "inherit", "inherit"],
  });
  // A Ctrl-C goes to kubectl as well; its exit status is then ours.
  process.on("SIGINT", () => undefined);
  return child.exited;
}
