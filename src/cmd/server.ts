import type { ServerFlags } from "../cli/index.ts";
import { serve } from "./serve.ts";

/** `kubun server`: a cluster in the foreground until a signal ends it; its pods run on. */
export async function runServer(
  flags: ServerFlags,
  options: { write: (text: string) => void },
): Promise<void> {
  const startedMs = performance.now();
  await serve(flags, {
    podsAtSignal: "keep",
    async onReady({ directory, record }) {
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(2);
      options.write(
        [
          `kubun ${record.version} runs at ${record.server} (started in ${seconds} s)`,
          `ingress:    ${record.ingress}`,
          `kubeconfig: ${directory.kubeconfig}`,
          "",
        ].join("\n"),
      );
    },
  });
}
