import type { Socket } from "bun";
import type { Pod } from "../api/index.ts";
import { ByteInbox, Outlet } from "../lib/index.ts";
import { RuntimeError } from "../runtime/index.ts";
import type {
  ByteStream,
  ContainerRuntime,
  StreamOutcome,
  StreamSession,
} from "../runtime/index.ts";

/** Connects to a port of a pod: to the socket behind it, or on the pod's own localhost. */
export async function openPodPort(
  runtime: ContainerRuntime,
  pod: Pod,
  port: number,
): Promise<StreamSession> {
  const unix = runtime.endpoint(pod.status?.podIP ?? "", port);
  if (unix !== undefined) return sessionOf(await dialSocket(unix));
  const sandboxes = await runtime.listPodSandboxes({ podUid: pod.metadata.uid ?? "" });
  const ready = sandboxes
    .filter(({ state }) => state === "ready")
    .toSorted((a, b) => b.attempt - a.attempt)[0];
  if (ready === undefined) throw new RuntimeError("not-found", "the pod has no sandbox");
  try {
    return sessionOf(await runtime.portForward(ready.id, port));
  } catch (error) {
    if (!(error instanceof RuntimeError) || error.code !== "unsupported") throw error;
    throw new RuntimeError("not-found", `the pod has no port ${port}`, { cause: error });
  }
}

/** The bytes of a connection as those of a program: its end is the program's. */
function sessionOf({ readable, writable, close }: ByteStream): StreamSession {
  const { promise: ended, resolve } = Promise.withResolvers<StreamOutcome>();
  const reader = readable.getReader();
  const stdout = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (!done) return controller.enqueue(value);
          resolve({ type: "exited", exitCode: 0 });
        } catch (error) {
          const message = error instanceof Error ? error.message : String(error);
          resolve({ type: "failed", message });
        }
        controller.close();
      },
      async cancel(reason) {
        resolve({ type: "failed", message: "nobody reads any more" });
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
  return { stdin: writable, stdout, resize: () => undefined, ended, close };
}

interface Dialled {
  readonly inbox: ByteInbox;
  outlet?: Outlet;
  room?: PromiseWithResolvers<void> | undefined;
  gone: boolean;
}

async function dialSocket(unix: string): Promise<ByteStream> {
  const holder: { socket?: Socket<Dialled> } = {};
  const data: Dialled = {
    inbox: new ByteInbox({
      onRoom: () => holder.socket?.resume(),
      onCancel: () => holder.socket?.terminate(),
    }),
    gone: false,
  };
  const socket = await Bun.connect<Dialled>({
    unix,
    allowHalfOpen: true,
    data,
    socket: {
      open: (opened) => void (opened.data.outlet = new Outlet(opened)),
      data: (opened, chunk) => {
        if (!opened.data.inbox.push(chunk)) opened.pause();
      },
      drain: ({ data: { outlet, room } }) => {
        if (outlet?.flush() === true) room?.resolve();
      },
      end: (opened) => opened.data.inbox.end(),
      close: (opened) => {
        opened.data.gone = true;
        opened.data.inbox.end();
        opened.data.room?.resolve();
      },
      error: (opened) => opened.terminate(),
    },
  });
  holder.socket = socket;
  return {
    readable: data.inbox.stream,
    writable: new WritableStream({
      async write(bytes) {
        if (data.gone) throw new Error("the pod closed the connection");
        if (data.outlet?.write(bytes) !== false) return;
        data.room = Promise.withResolvers();
        await data.room.promise;
      },
      close: () => data.outlet?.finish(),
      abort: () => socket.terminate(),
    }),
    close: () => socket.terminate(),
  };
}
