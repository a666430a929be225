import { CgiError } from "./cgi-response.ts";
import type { FrontExchange } from "./http-front/front-exchange.ts";

/** A request's body is longer than its guest may be given. */
export class BodyTooLarge extends CgiError {}

const READ_BYTES = 64 * 1024;

/**
 * All of a request's body, at most `maxBytes`; undefined when the signal aborts first, or the
 * client goes away. Throws {@link BodyTooLarge}.
 */
export async function bodyOf(
  exchange: FrontExchange,
  { maxBytes, signal }: { readonly maxBytes: number; readonly signal: AbortSignal },
): Promise<Uint8Array | undefined> {
  const { body } = exchange;
  if (body === undefined || exchange.upgrade !== "") return new Uint8Array();
  const tooLarge = () => new BodyTooLarge(`a body has at most ${maxBytes} bytes here`);
  if ((exchange.declaredLength ?? 0) > maxBytes) throw tooLarge();
  exchange.wantBody();
  const chunks: Uint8Array[] = [];
  let length = 0;
  while (!signal.aborted && !exchange.over) {
    const bytes = body.read(READ_BYTES);
    if (bytes === undefined) return Buffer.concat(chunks);
    length += bytes.length;
    if (length > maxBytes) throw tooLarge();
    if (bytes.length > 0) chunks.push(bytes);
    else await readyOrAborted((done) => body.watch(done), signal);
  }
  return undefined;
}

function readyOrAborted(
  watch: (callback: () => void) => () => void,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    const over = () => {
      cancel();
      signal.removeEventListener("abort", over);
      resolve();
    };
    const cancel = watch(over);
    signal.addEventListener("abort", over);
  });
}
