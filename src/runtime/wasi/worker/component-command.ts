import { ProcExit } from "../host/errno.ts";
import type { HostClock } from "../host/host-clock.ts";
import type { PreviewTwo } from "../preview2/preview-two.ts";
import {
  EXIT_TRAP,
  type FacadeStatus,
  type WorkerComponent,
  type WorkerSpec,
} from "../worker-protocol.ts";
import type { ComponentCode, ComponentInstance } from "./component-code.ts";
import { previewTwo } from "./component-guest.ts";
import type { CriLog } from "./cri-log.ts";
import type { Guest, GuestEnd } from "./guest.ts";
import { backtrace, guestEnd } from "./guest-end.ts";

interface Runnable {
  /** Throws what is no Error for `err`. */
  run(): unknown;
}

const EXIT_ERR = 1;

/** The style `component` for wasi:cli/run: entered once, it ends the container. */
export class ComponentCommand implements Guest {
  readonly #code: ComponentCode;
  readonly #log: CriLog;
  readonly #host: PreviewTwo;
  #instance: ComponentInstance | undefined;

  constructor(
    spec: WorkerSpec & { readonly component: WorkerComponent },
    code: ComponentCode,
    log: CriLog,
    clock: HostClock,
  ) {
    this.#code = code;
    this.#log = log;
    this.#host = previewTwo(spec, log, clock);
  }

  /** Sockets are the guest's own, by wasi:sockets. */
  readonly connections = 0;
  readonly owesAnswer = false;
  readonly activity = 0;

  get memoryBytes(): number {
    return this.#instance?.memoryBytes ?? 0;
  }

  listen(): FacadeStatus[] {
    return [];
  }

  async run(): Promise<GuestEnd> {
    const host = this.#host.instance();
    try {
      this.#instance = await this.#code.instantiate(host.imports);
      const entry = this.#instance.exports[this.#code.manifest.entry] as Runnable;
      await entry.run();
      return { exitCode: 0, reason: "Completed", message: "" };
    } catch (thrown) {
      return this.#endOf(thrown);
    } finally {
      host.close();
      this.#host.close();
    }
  }

  #endOf(thrown: unknown): GuestEnd {
    const answered = !(thrown instanceof Error) && !(thrown instanceof ProcExit);
    const end = guestEnd(answered ? new ProcExit(EXIT_ERR) : thrown, {
      memoryBytes: this.memoryBytes,
      maximumPages: this.#code.maximumPages,
      refusedGrowth: this.#instance?.refusedGrowth,
    });
    if (end.exitCode === EXIT_TRAP) this.#log.note(backtrace(thrown));
    else if (end.message !== "") this.#log.note(end.message);
    return end;
  }
}
