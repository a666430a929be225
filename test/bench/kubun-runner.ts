import { existsSync } from "node:fs";
import { basename } from "node:path";
import { TestWorker } from "../../src/runtime/wasi/worker/testing/start-worker.ts";
import type { ProgramRun, ServedProgram, WasiRunner } from "./wasi-peers.ts";

const POLL_MS = 1;
/** By then a warm worker has run the smallest module there is. */
const WARM_MS = 300;
const ADDRESS = "127.77.0.1";

/**
 * A worker process for each run, told by its control socket what to run as the runtime tells it;
 * `warm` does not count its start, as for a pod that finds one ready.
 */
export class KubunRunner implements WasiRunner {
  readonly name: string;
  readonly #start: "new" | "warm";

  constructor(start: "new" | "warm") {
    this.#start = start;
    this.name = `kubun, ${start} worker`;
  }

  async run({ module, args, directory }: ProgramRun): Promise<number> {
    let startMs = performance.now();
    const worker = new TestWorker();
    try {
      while (!existsSync(worker.controlPath)) await Bun.sleep(POLL_MS);
      if (this.#start === "warm") {
        await Bun.sleep(WARM_MS);
        startMs = performance.now();
      }
      await worker.connect();
      const preopens = [{ guestPath: "/data", hostPath: directory, readOnly: false }];
      const changes = { args: [basename(module), ...args], preopens, ports: [] };
      // It may be over before its start is answered.
      worker.start(module, changes).catch(() => undefined);
      const code = await worker.process.exited;
      const tookMs = performance.now() - startMs;
      if (code !== 0) throw new Error(`${basename(module)} ended with ${code}: ${worker.log}`);
      return tookMs;
    } finally {
      await worker.dispose();
    }
  }

  async serve(module: string): Promise<ServedProgram> {
    const worker = new TestWorker();
    await worker.connect();
    const { unixPath } = worker;
    const ports = [{ port: 8080, protocol: "TCP" as const, unixPath, address: ADDRESS }];
    await worker.start(module, { ports });
    return { url: `http://${ADDRESS}:8080/`, end: () => worker.dispose() };
  }
}
