import { describe, expect, test } from "bun:test";
import { Hono } from "hono";
import type { Pod } from "../api/index.ts";
import { ByteInbox, CHANNEL, channelFrame, ChannelFrameReader, ManualClock } from "../lib/index.ts";
import { eventually } from "../lib/testing/eventually.ts";
import { RuntimeError } from "../runtime/index.ts";
import type { ContainerRuntime, StreamOutcome, StreamSession } from "../runtime/index.ts";
import { STREAM_IDLE_MS } from "./channel-session.ts";
import { addStreamRoutes } from "./stream-api.ts";
import { MAX_STREAMS_A_POD } from "./stream-limits.ts";

const POD: Pod = {
  metadata: { namespace: "default", name: "p", uid: "u1" },
  spec: { containers: [] },
  status: { podIP: "10.0.0.1" },
};
const EXEC = "/exec/default/p/u1/c?command=cat&input=1&output=1&error=1";

/** A program whose ends are in the test's hands. */
class Program implements StreamSession {
  readonly heard: string[] = [];
  readonly said = new ByteInbox();
  readonly complained = new ByteInbox();
  readonly outcome = Promise.withResolvers<StreamOutcome>();
  readonly ended = this.outcome.promise;
  readonly stdout = this.said.stream;
  readonly stderr = this.complained.stream;
  readonly stdin = new WritableStream<Uint8Array>({
    write: (bytes) => void this.heard.push(Buffer.from(bytes).toString()),
    close: () => void this.heard.push("<end>"),
  });

  resize({ width, height }: { readonly width: number; readonly height: number }): void {
    this.heard.push(`${width}x${height}`);
  }

  close(): void {
    this.heard.push("<closed>");
  }

  end(outcome: StreamOutcome): void {
    this.said.end();
    this.complained.end();
    this.outcome.resolve(outcome);
  }
}

class Node {
  readonly clock = new ManualClock();
  readonly programs: Program[] = [];
  readonly asked: unknown[] = [];
  readonly app = new Hono();
  refusal: RuntimeError | undefined;

  constructor() {
    const runtime: Partial<ContainerRuntime> = {
      listContainers: async () => [
        { id: "old", name: "c", attempt: 0, state: "exited" } as never,
        { id: "new", name: "c", attempt: 1, state: "running" } as never,
      ],
      exec: async (id, options) => this.#open(id, options),
      attach: async (id, options) => this.#open(id, options),
    };
    addStreamRoutes(this.app, {
      runtime: runtime as ContainerRuntime,
      clock: this.clock,
      pods: () => [POD],
    });
  }

  #open(...asked: unknown[]): StreamSession {
    if (this.refusal !== undefined) throw this.refusal;
    this.asked.push(asked);
    const program = new Program();
    this.programs.push(program);
    return program;
  }

  async stream(path: string): Promise<Client> {
    const input = new ByteInbox();
    const abort = new AbortController();
    const sending: RequestInit & { readonly duplex: "half" } = {
      method: "POST",
      body: input.stream,
      duplex: "half",
      signal: abort.signal,
    };
    const answer = await this.app.request(new Request(`http://node${path}`, sending));
    return { input, abort, answer, program: this.programs.at(-1) ?? new Program() };
  }
}

interface Client {
  readonly input: ByteInbox;
  readonly abort: AbortController;
  readonly answer: Response;
  readonly program: Program;
}

/** What came, a line a message; pieces of a channel that follow each other are one. */
async function transcript(answer: Response): Promise<string[]> {
  const lines: string[] = [];
  const messages = new ChannelFrameReader().push(await answer.bytes());
  for (const { channel, payload } of messages) {
    lines.push(`${channel} ${Buffer.from(payload).toString()}`);
  }
  return lines;
}

describe("stream API of the kubelet", () => {
  test("exec: bytes, sizes and the end of input go in, output and exit code out", async () => {
    const node = new Node();
    const { input, answer, program } = await node.stream(`${EXEC}&command=-n`);
    expect(node.asked).toEqual([
      ["new", { stdin: true, stdout: true, stderr: true, tty: false, command: ["cat", "-n"] }],
    ]);
    input.push(channelFrame(CHANNEL.stdin, Buffer.from("in")));
    input.push(channelFrame(CHANNEL.resize, Buffer.from('{"Width":80,"Height":24}\n{"Wid')));
    input.push(channelFrame(CHANNEL.resize, Buffer.from('th":81,"Height":25}')));
    input.push(channelFrame(CHANNEL.close, new Uint8Array([CHANNEL.stdin])));
    await eventually(() => program.heard.includes("<end>"));
    program.said.push(Buffer.from("out"));
    program.complained.push(Buffer.from("err"));
    program.end({ type: "exited", exitCode: 7 });
    expect((await transcript(answer)).toSorted()).toEqual([
      "1 out",
      "2 err",
      '3 {"metadata":{},"status":"Failure","message":"command terminated with non-zero exit ' +
        'code: exit status 7","reason":"NonZeroExitCode","details":{"causes":[{"reason":' +
        '"ExitCode","message":"7"}]}}',
    ]);
    expect(program.heard).toEqual(["in", "80x24", "81x25", "<end>", "<closed>"]);
  });

  test("exec: success and failures without an exit code are told as Kubernetes does", async () => {
    const node = new Node();
    const well = await node.stream(EXEC);
    well.program.end({ type: "exited", exitCode: 0 });
    expect(await transcript(well.answer)).toEqual(['3 {"metadata":{},"status":"Success"}']);
    const badly = await node.stream(EXEC);
    badly.program.end({ type: "failed", message: "no such file" });
    expect((await transcript(badly.answer))[0]).toContain(
      '"Internal error occurred: no such file"',
    );
  });

  test("exec: a client that leaves in any way takes the program with it", async () => {
    const node = new Node();
    const [ended, aborted, deaf] = [
      await node.stream(EXEC),
      await node.stream(EXEC),
      await node.stream(EXEC),
    ];
    ended.input.end();
    aborted.abort.abort();
    await deaf.answer.body?.cancel();
    for (const { program } of [ended, aborted, deaf]) {
      await eventually(() => program.heard.includes("<closed>"));
    }
  });

  test("exec: a session in which nobody says anything ends after four hours", async () => {
    const node = new Node();
    const { input, program } = await node.stream(EXEC);
    node.clock.advance(STREAM_IDLE_MS - 1);
    input.push(channelFrame(CHANNEL.stdin, Buffer.from("x")));
    await eventually(() => program.heard.includes("x"));
    node.clock.advance(STREAM_IDLE_MS - 1);
    expect(program.heard).toEqual(["x"]);
    node.clock.advance(1);
    expect(program.heard).toEqual(["x", "<closed>"]);
  });

  test("exec: what cannot be opened is refused by its status, and takes no room", async () => {
    const node = new Node();
    const refused = async (path: string): Promise<string> => {
      const { answer } = await node.stream(path);
      return `${answer.status} ${(await answer.text()).trim()}`;
    };
    expect(await refused("/exec/default/p/u2/c?command=a")).toBe("404 pod does not exist");
    expect(await refused("/exec/default/p/u1/d?command=a")).toBe('404 container not found ("d")');
    expect(await refused("/portForward/default/p/u1?port=0")).toBe("400 port 0: 1 to 65535");
    node.refusal = new RuntimeError("unsupported", "no second program");
    expect(await refused(EXEC)).toBe("501 no second program");
    for (let i = 0; i < MAX_STREAMS_A_POD; i++) await refused("/attach/default/p/u1/c?output=1");
    node.refusal = undefined;
    for (let i = 0; i < MAX_STREAMS_A_POD; i++) await node.stream(EXEC);
    expect(await refused(EXEC)).toBe(`429 ${MAX_STREAMS_A_POD} streams to this pod are open`);
    node.programs[0]?.end({ type: "exited", exitCode: 0 });
    await eventually(() => node.programs[0]?.heard.includes("<closed>"));
    expect((await node.stream(EXEC)).answer.status).toBe(200);
  });
});
