import type { BodyPipe } from "../http/body-pipe.ts";
import { ReceivedBody } from "../http/received-body.ts";
import type { OutgoingHttp } from "../preview-two.ts";

/** A body of a request, into which a test pushes what the client sends. */
export function openBody(onClose: () => void = () => undefined): ReceivedBody {
  return new ReceivedBody({ room: () => undefined, close: onClose });
}

/** A body of a request that has come already. */
export function wholeBody(...chunks: readonly string[]): ReceivedBody {
  const body = openBody();
  for (const chunk of chunks) body.push(Buffer.from(chunk));
  body.end();
  return body;
}

/** The body of an answer that its guest may still write. */
export function pipeOf({ body }: OutgoingHttp): BodyPipe {
  if (body instanceof Uint8Array) throw new Error("all of the body was there");
  return body;
}

/** The next bytes of a body; undefined at its end. Rejects when it broke off. */
export function nextOf(pipe: BodyPipe): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const bytes = pipe.take();
      const end = pipe.ended;
      if (bytes === undefined && end === undefined) return;
      pipe.onChange(undefined);
      if (bytes === undefined && end?.kind === "broken") reject(end.reason);
      else resolve(bytes);
    };
    pipe.onChange(look);
    look();
  });
}

/** All of an answer's body. */
export async function contentOf(outgoing: OutgoingHttp): Promise<Buffer> {
  if (outgoing.body instanceof Uint8Array) return Buffer.from(outgoing.body);
  const chunks: Uint8Array[] = [];
  for (;;) {
    const bytes = await nextOf(outgoing.body);
    if (bytes === undefined) return Buffer.concat(chunks);
    chunks.push(bytes);
  }
}
