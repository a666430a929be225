import type { Clock } from "../../../lib/index.ts";
import type { ByteStream } from "../../runtime.ts";
import { writableOf } from "./stream-session.ts";
import { openStreamingConnection } from "./streaming-connection.ts";

const PROTOCOLS = ["portforward.k8s.io"];
const MAX_FAILURE_BYTES = 4 * 1024;

/**
 * One connection to `port` of a pod's own localhost, behind the URL of PortForward. That nobody
 * listens there is told by the readable side, which fails with the runtime's words. Errors: as
 * {@link openStreamingConnection}.
 */
export async function openPortStream(
  url: string,
  port: number,
  { clock }: { readonly clock: Clock },
): Promise<ByteStream> {
  const connection = await openStreamingConnection({ url, protocols: PROTOCOLS }, { clock });
  const common = { port: `${port}`, requestid: "0" };
  const failures = connection.open({ ...common, streamtype: "error" }, { ended: true });
  const data = connection.open({ ...common, streamtype: "data" });
  const failed = textOf(failures.readable);
  // As in `openStreamSession`: a stream that was not answered keeps a thread of the server.
  await connection.answered();
  return {
    readable: endingWith(data.readable, failed, () => connection.close()),
    writable: writableOf(data),
    close: () => connection.close(),
  };
}

/** The bytes, and in place of their end the failure, if there was one. */
function endingWith(
  bytes: ReadableStream<Uint8Array>,
  failed: Promise<string>,
  onEnd: () => void,
): ReadableStream<Uint8Array> {
  const reader = bytes.getReader();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        const failure = await failed;
        // Both of the server's streams are at their end: there is nothing left to say.
        onEnd();
        if (failure === "") controller.close();
        else controller.error(new Error(failure));
      },
      async cancel(reason) {
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

async function textOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    if (text.length < MAX_FAILURE_BYTES) text += decoder.decode(chunk, { stream: true });
  }
  return text;
}
