import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { eventually } from "../../../../lib/testing/eventually.ts";
import {
  blockedResultPath,
  encodeWorkerMessage,
  parseWorkerReply,
  parseWorkerResult,
  type WorkerReply,
  type WorkerRequest,
  type WorkerResult,
  type WorkerSpec,
} from "../../worker-protocol.ts";

const source = join(import.meta.dir, "..", "..", "..", "..");
const root = join(source, "..");

/** Modules the tests run. */
export const MODULES = {
  probe: join(source, "runtime", "wasi", "host", "testdata", "probe.wasm"),
  hostile: join(source, "runtime", "wasi", "host", "testdata", "hostile.wasm"),
  trapper: join(source, "runtime", "wasi", "host", "testdata", "trapper.wasm"),
  helloHttp: join(root, "workloads", "hello-http", "hello-http.wasm"),
  helloWagi: join(root, "workloads", "hello-wagi", "hello-wagi.wasm"),
};

/** A worker process of a test, with a connection to its control socket. */
export class TestWorker {
  readonly directory: string;
  readonly controlPath: string;
  readonly process: Bun.Subprocess<"ignore", "inherit", "inherit">;
  readonly #replies: WorkerReply[] = [];
  #socket: Socket | undefined;

  /** Starts the process; {@link connect} comes next. */
  constructor() {
    this.directory = mkdtempSync(join(tmpdir(), "wasi-worker-"));
    this.controlPath = join(this.directory, "control.sock");
    this.process = Bun.spawn(
      [process.execPath, join(source, "cmd", "wasi-worker.ts"), this.controlPath],
      { env: {}, stdin: "ignore", stdout: "inherit", stderr: "inherit" },
    );
  }

  /** Connects to the control socket, anew when it was before. */
  async connect(): Promise<void> {
    this.#socket?.destroy();
    // The file is there a moment before it is listened on: until then connections are refused.
    const socket = await eventually(() => connected(this.controlPath));
    socket.on("error", () => undefined);
    const lines = createInterface({ input: socket });
    lines.on("line", (line) => this.#replies.push(parseWorkerReply(line)));
    lines.on("error", () => undefined);
    this.#socket = socket;
  }

  disconnect(): void {
    this.#socket?.destroy();
  }

  /** Sends a line and gives the next reply. */
  async ask(request: WorkerRequest | string): Promise<WorkerReply> {
    const line = typeof request === "string" ? `${request}\n` : encodeWorkerMessage(request);
    this.#socket?.write(line);
    return eventually(() => this.#replies.shift());
  }

  /** Waits for what the worker says unasked. */
  next(): Promise<WorkerReply> {
    return eventually(() => this.#replies.shift());
  }

  start(modulePath: string, changes: Partial<WorkerSpec> = {}): Promise<WorkerReply> {
    return this.ask({ type: "start", spec: this.spec(modulePath, changes) });
  }

  spec(modulePath: string, changes: Partial<WorkerSpec> = {}): WorkerSpec {
    return {
      containerId: "test",
      modulePath,
      args: ["guest"],
      env: [],
      preopens: [],
      ports: [{ port: 8080, protocol: "TCP", unixPath: this.unixPath }],
      logPath: join(this.directory, "0.log"),
      logMaxBytes: 1024 * 1024,
      style: "command",
      resultPath: join(this.directory, "result"),
      ...changes,
    };
  }

  get unixPath(): string {
    return join(this.directory, "8080.sock");
  }

  /** A request to port 8080, its answer read to the end. */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const response = await fetch(`http://pod${path}`, { ...init, unix: this.unixPath });
    const { status, headers } = response;
    return new Response(await response.arrayBuffer(), { status, headers });
  }

  get log(): string {
    return readFileSync(join(this.directory, "0.log"), "utf8");
  }

  /** Log lines without their times. */
  get said(): string[] {
    return this.log
      .split("\n")
      .map((line) => line.replace(/^\S+ /, ""))
      .slice(0, -1);
  }

  /** Waits for the end of the process. */
  async result(): Promise<WorkerResult & { readonly processCode: number }> {
    const processCode = await this.process.exited;
    const content = readFileSync(join(this.directory, "result"), "utf8");
    return { ...parseWorkerResult(content), processCode };
  }

  /** What counts as the result when the kernel's timer ended the process. */
  blockedResult(): WorkerResult {
    const content = readFileSync(blockedResultPath(join(this.directory, "result")), "utf8");
    return parseWorkerResult(content);
  }

  async dispose(): Promise<void> {
    this.#socket?.destroy();
    this.process.kill("SIGKILL");
    await this.process.exited;
    rmSync(this.directory, { recursive: true });
  }
}

function connected(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => resolve(socket));
    socket.once("error", reject);
  });
}
