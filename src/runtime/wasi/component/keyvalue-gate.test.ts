import { expect, test } from "bun:test";
import type { Socket } from "bun";
import { eventually } from "../../../lib/testing/eventually.ts";
import { type KeyvalueServer, serveKeyvalue } from "../preview2/testing/serve-keyvalue.ts";
import { SocketWriter } from "../preview2/io/socket-writer.ts";
import { MAX_ASKED_AT_ONCE, MAX_CALL_BYTES_HELD, MAX_GATE_CONNECTIONS } from "./keyvalue-gate.ts";
import {
  decodeAnswer,
  encodeCall,
  FrameReader,
  type KeyvalueAnswer,
  MAX_ANSWER_FRAME_BYTES,
  MAX_CALLS_UNDER_WAY,
  MAX_VALUE_BYTES,
} from "./keyvalue-protocol.ts";

/** A worker that keeps to no limit. */
class RudeWorker {
  readonly answers = new Map<number, KeyvalueAnswer>();
  readonly #reader = new FrameReader(MAX_ANSWER_FRAME_BYTES);
  #socket: Socket | undefined;
  #writer: SocketWriter | undefined;
  closed = false;

  async connect({ path }: KeyvalueServer): Promise<this> {
    const close = (): void => {
      this.closed = true;
    };
    this.#socket = await Bun.connect({
      unix: path,
      socket: {
        data: (_socket, chunk) => {
          for (const frame of this.#reader.push(chunk)) {
            const { id, answer } = decodeAnswer(frame);
            this.answers.set(id, answer);
          }
        },
        drain: () => this.#writer?.drained(),
        close,
        error: close,
      },
    });
    this.#writer = new SocketWriter(this.#socket);
    return this;
  }

  send(bytes: Uint8Array): void {
    this.#writer?.write(bytes);
  }

  refused(): number {
    return [...this.answers.values()].filter(({ type }) => type === "refused").length;
  }

  [Symbol.dispose](): void {
    this.#socket?.terminate();
  }
}

const get = { op: "get", store: "s", key: "a" } as const;

test("listenForCalls: asks for some at a time, lets some wait, and refuses the rest", async () => {
  using server = serveKeyvalue(["s"]);
  using worker = await new RudeWorker().connect(server);
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  server.instead = async () => {
    await released;
    return { type: "absent" };
  };
  for (let id = 1; id <= MAX_CALLS_UNDER_WAY + 5; id++) worker.send(encodeCall(id, get));
  await eventually(() => worker.answers.size === 5);
  expect(worker.refused()).toBe(5);
  expect(server.calls).toHaveLength(MAX_ASKED_AT_ONCE);
  release();
  await eventually(() => worker.answers.size === MAX_CALLS_UNDER_WAY + 5);
  expect(worker.refused()).toBe(5);
});

test("listenForCalls: holds no more than so many bytes for a connection", async () => {
  using server = serveKeyvalue(["s"]);
  using worker = await new RudeWorker().connect(server);
  server.instead = () => new Promise(() => undefined);
  const value = new Uint8Array(MAX_VALUE_BYTES);
  const fits = MAX_CALL_BYTES_HELD / MAX_VALUE_BYTES;
  for (let id = 1; id <= fits + 3; id++) worker.send(encodeCall(id, { ...get, op: "set", value }));
  await eventually(() => worker.answers.size === 3);
  expect(worker.refused()).toBe(3);
});

test("listenForCalls: what is no frame of ours ends the connection, and no other", async () => {
  using server = serveKeyvalue(["s"]);
  using honest = await new RudeWorker().connect(server);
  const head = JSON.stringify({ id: 1, op: "steal", store: "s" });
  const broken = [
    Buffer.from("GET / HTTP/1.1\r\n\r\n"),
    encodeCall(1, { ...get, op: "set", value: new Uint8Array(2 * MAX_VALUE_BYTES) }),
    Buffer.concat([
      Buffer.from([0, 0, 0, 4 + head.length, 0, 0, 0, head.length]),
      Buffer.from(head),
    ]),
    Buffer.from([0, 0, 0, 6, 0, 0, 0, 200, 1, 2]),
    Buffer.from([0, 0, 0, 6, 0, 0, 0, 2, 0x5b, 0x5d]),
  ];
  for (const bytes of broken) {
    using worker = await new RudeWorker().connect(server);
    worker.send(bytes);
    await eventually(() => worker.closed);
  }
  honest.send(encodeCall(7, get));
  await eventually(() => honest.answers.size === 1);
  expect(honest.answers.get(7)).toEqual({ type: "absent" });
});

test("listenForCalls: a pod has so many connections and no more", async () => {
  using server = serveKeyvalue(["s"]);
  using stack = new DisposableStack();
  const workers: RudeWorker[] = [];
  for (let count = 0; count <= MAX_GATE_CONNECTIONS; count++) {
    workers.push(stack.use(await new RudeWorker().connect(server)));
  }
  await eventually(() => workers.at(-1)?.closed);
  expect(workers.filter(({ closed }) => closed)).toHaveLength(1);
});
