import { ProcExit } from "../host/errno.ts";
import type { HostClock } from "../host/host-clock.ts";
import type { PreviewTwo } from "../preview2/preview-two.ts";
import { withoutVersion } from "../component/component-binary.ts";
import { PortListeners } from "../preview2/sockets/port-listeners.ts";
import {
  EXIT_TRAP,
  type FacadeStatus,
  type WorkerComponent,
  type WorkerSpec,
} from "../worker-protocol.ts";
import { facadeStatus } from "./command-guest.ts";
import type { ComponentCode, ComponentInstance } from "./component-code.ts";
import { previewTwo } from "./component-guest.ts";
import type { CriLog } from "./cri-log.ts";
import type { Guest, GuestEnd } from "./guest.ts";
import { backtrace, guestEnd } from "./guest-end.ts";

interface Runnable {
  /** Throws what is no Error for `err`. */
  run(): unknown;
}

/** What a component imports that makes sockets of its own. */
const LISTENING = "wasi:sockets/tcp";
const EXIT_ERR = 1;

/** The style `component` for wasi:cli/run: entered once, it ends the container. */
export class ComponentCommand implements Guest {
  readonly #code: ComponentCode;
  readonly #log: CriLog;
  readonly #listeners: PortListeners;
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
    // A job that has no use for sockets must not take connections that it never answers.
    const listens = code.manifest.imports.some((name) => withoutVersion(name) === LISTENING);
    this.#listeners = new PortListeners(listens ? spec.ports : []);
    this.#host = previewTwo(spec, log, clock, { listeners: this.#listeners });
  }

  get connections(): number {
    return this.#listeners.meter.open.size;
  }

  get owesAnswer(): boolean {
    return this.#listeners.meter.owesAnswer;
  }

  get activity(): number {
    return this.#listeners.meter.activity;
  }

  get memoryBytes(): number {
    return this.#instance?.memoryBytes ?? 0;
  }

  listen(): FacadeStatus[] {
    return this.#listeners.all.flatMap((listener) => {
      listener.listenUnix();
      const { address, port } = listener.port;
      return address === undefined ? [] : [facadeStatus(port, () => listener.listenTcp(address))];
    });
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
      this.#listeners.close();
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
