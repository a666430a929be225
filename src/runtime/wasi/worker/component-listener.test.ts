import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { NO_GRANTS } from "../component/pod-grants.ts";
import { COMPONENTS, TranslatedComponents } from "../component/testing/translated.ts";
import { TestWorker } from "./testing/start-worker.ts";

const translated = new TranslatedComponents();
afterAll(() => translated.remove());
const PORT = 9000;

describe("A component that listens", () => {
  let worker: TestWorker;
  beforeEach(async () => {
    worker = new TestWorker();
    await worker.connect();
  });
  afterEach(() => worker.dispose());

  async function start(component: keyof typeof COMPONENTS, port: number, address?: string) {
    const directory = await translated.directory(COMPONENTS[component]);
    const unixPath = join(worker.directory, `${port}.sock`);
    return worker.start(COMPONENTS[component], {
      ports: [{ port, protocol: "TCP", unixPath, ...(address === undefined ? {} : { address }) }],
      style: "component",
      component: {
        directory,
        grants: NO_GRANTS,
        instances: 1,
        requestTimeoutMs: 5000,
        accessLog: false,
        freshInstances: false,
      },
    });
  }

  /** Sends a line, and gives what comes back before the end. */
  async function echoed(socket: Socket, line: string): Promise<string> {
    let text = "";
    socket.on("data", (chunk) => (text += chunk.toString()));
    socket.end(line);
    await new Promise((resolve) => socket.once("end", resolve));
    return text;
  }

  test("A component that listens answers on its Unix socket and facade", async () => {
    const address = `127.${1 + (process.pid % 250)}.3.4`;
    expect(await start("listener", PORT, address)).toMatchObject({
      type: "started",
      facade: [{ port: PORT, bound: true }],
    });
    const unixPath = join(worker.directory, `${PORT}.sock`);
    expect(await echoed(connect(unixPath), "hello")).toBe("hello");
    expect(await echoed(connect(PORT, address), "facade")).toBe("facade");
    expect(await echoed(connect(unixPath), "q")).toBe("q");
    expect(await worker.result()).toMatchObject({ exitCode: 0, reason: "Completed" });
  }, 60_000);

  test("A component that listens on a port nobody named is told so", async () => {
    expect(await start("listener", PORT + 1)).toMatchObject({ type: "started" });
    expect(await worker.result()).toMatchObject({ exitCode: 1 });
    expect(worker.said).toEqual([
      expect.stringContaining("wasi:sockets/tcp: listening on port 9000 is refused"),
    ]);
  }, 60_000);
});
