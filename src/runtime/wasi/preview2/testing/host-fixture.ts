import { NO_GRANTS } from "../../component/pod-grants.ts";
import { SystemHostClock } from "../../host/host-clock.ts";
import type { OutputStream } from "../../host/streams.ts";
import { createPreviewTwo } from "../create-preview-two.ts";
import type { Descriptor } from "../filesystem/descriptor.ts";
import type { Fields } from "../http/fields.ts";
import type { FutureIncomingResponse, IncomingResponse } from "../http/incoming-response.ts";
import type { OutgoingRequest } from "../http/outgoing-request.ts";
import type { OutgoingResponse } from "../http/outgoing-response.ts";
import { GuestError } from "../io/guest-error.ts";
import type { Pollable } from "../io/pollable.ts";
import type { PreviewTwo, PreviewTwoInstance, PreviewTwoOptions } from "../preview-two.ts";

/** A host with one instance, and what it said. */
export interface HostFixture extends Disposable {
  readonly host: PreviewTwo;
  readonly instance: PreviewTwoInstance;
  readonly notes: string[];
  readonly output: { readonly stdout: string[]; readonly stderr: string[] };
}

export function openHost(overrides: Partial<PreviewTwoOptions> = {}): HostFixture {
  const notes: string[] = [];
  const output = { stdout: [] as string[], stderr: [] as string[] };
  const host = createPreviewTwo({
    args: ["probe"],
    env: [],
    preopens: [],
    stdout: collect(output.stdout),
    stderr: collect(output.stderr),
    clock: new SystemHostClock(),
    grants: NO_GRANTS,
    note: (line) => notes.push(line),
    ...overrides,
  });
  const instance = host.instance();
  return {
    host,
    instance,
    notes,
    output,
    [Symbol.dispose]: () => {
      instance.close();
      host.close();
    },
  };
}

function collect(into: string[]): OutputStream {
  const write = (bytes: Uint8Array) => void into.push(new TextDecoder().decode(bytes));
  return { kind: "output", lineBuffered: true, write };
}

/** A function or class of an interface, as generated code takes it. */
export function imported<Shape>(instance: PreviewTwoInstance, path: string, name: string): Shape {
  const found = instance.imports[path]?.[name];
  if (found === undefined) throw new Error(`${path} has no ${name}`);
  return found as Shape;
}

/** The parts of wasi:http that tests make objects of. */
export function httpTypes(instance: PreviewTwoInstance) {
  const types = <Shape>(name: string) => imported<Shape>(instance, "wasi:http/types", name);
  return {
    Fields: types<{
      new (): Fields;
      fromList(entries: readonly (readonly [string, Uint8Array])[]): Fields;
    }>("Fields"),
    OutgoingRequest: types<new (headers: Fields) => OutgoingRequest>("OutgoingRequest"),
    OutgoingResponse: types<new (headers: Fields) => OutgoingResponse>("OutgoingResponse"),
    RequestOptions:
      types<new () => import("../http/outgoing-request.ts").RequestOptions>("RequestOptions"),
  };
}

export function preopened(instance: PreviewTwoInstance): Descriptor {
  const getDirectories = imported<() => [Descriptor, string][]>(
    instance,
    "wasi:filesystem/preopens",
    "getDirectories",
  );
  const [first] = getDirectories();
  if (first === undefined) throw new Error("nothing is preopened");
  return first[0];
}

/** What a call answers the guest with instead of a value. */
export function refusal(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    if (error instanceof GuestError) return error.payload;
    throw error;
  }
  return "no refusal";
}

/** Blocks on a pollable and drops it, as a guest does. */
export async function block(pollable: Pollable): Promise<void> {
  await pollable.block();
  pollable[Symbol.dispose]();
}

/** Waits for a response; throws the error code when there is none. */
export async function responseOf(future: FutureIncomingResponse): Promise<IncomingResponse> {
  await block(future.subscribe());
  const taken = future.get();
  if (taken?.tag !== "ok") throw new Error("the response was taken before");
  if (taken.val.tag === "err") throw new GuestError(taken.val.val);
  return taken.val.val;
}

/** Reads a response's body to its end. */
export async function bodyOf(response: IncomingResponse): Promise<Buffer> {
  const body = response.consume();
  const stream = body.stream();
  const chunks: Uint8Array[] = [];
  for (;;) {
    try {
      chunks.push(Uint8Array.from(await stream.blockingRead(65_536n)));
    } catch (error) {
      const closed = error instanceof GuestError && (error.payload as { tag?: string }).tag;
      if (closed !== "closed") throw error;
      break;
    }
  }
  stream[Symbol.dispose]();
  body[Symbol.dispose]();
  return Buffer.concat(chunks);
}

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
export const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
