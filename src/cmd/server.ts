import type { ServerFlags } from "../cli/index.ts";
import { serve } from "./serve.ts";
import { untilSignalled } from "./until-signalled.ts";

export interface RunOptions {
  readonly write: (text: string) => void;
}

/** `kubun server`: a cluster in the foreground until a signal ends it; its pods run on. */
export async function runServer(flags: ServerFlags, options: RunOptions): Promise<void> {
  if (flags.witness) return runWitness(flags, options);
  const startedMs = performance.now();
  const ended = await serve(flags, {
    podsAtSignal: "keep",
    onReady({ directory, record }) {
      options.write(
        [
          `kubun ${record.version} runs at ${record.server} (started in ${since(startedMs)} s)`,
          `ingress:    ${record.ingress}`,
          `kubeconfig: ${directory.kubeconfig}`,
          "",
        ].join("\n"),
      );
    },
  });
  if (ended === "replaced") options.write("another process runs the cluster now\n");
}

async function runWitness(flags: ServerFlags, options: RunOptions): Promise<void> {
  const { startWitness } = await import("./witness.ts");
  const startedMs = performance.now();
  await untilSignalled({
    start: () => startWitness(flags),
    podsAtSignal: "keep",
    onReady({ name, peerAddress }) {
      options.write(
        `witness ${name} answers its peers at ${peerAddress} (${since(startedMs)} s)\n`,
      );
    },
  });
}

function since(startedMs: number): string {
  return ((performance.now() - startedMs) / 1000).toFixed(2);
}
