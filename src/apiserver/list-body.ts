import type { ItemBytes } from "../registry/index.ts";

/** Lists up to this length are one piece; longer ones are made as their client takes them. */
export const WHOLE_BYTES = 256 * 1024;

/** The JSON of a list: what stands before its items, the items, and what stands behind them. */
export interface ListParts {
  readonly head: string;
  readonly items: readonly ItemBytes[];
  readonly end: string;
}

/**
 * The body of a list, put together from the stored bytes of its objects: no text is made of them,
 * and of a long list there is never more than one piece at a time, however slow its client is.
 */
export function listBody(parts: ListParts): {
  readonly body: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;
  readonly length: number;
} {
  const pieces = allPieces(parts);
  const length = pieces.reduce((sum, piece) => sum + lengthOf(piece), 0);
  if (length <= WHOLE_BYTES) return { body: joined(pieces, 0, pieces.length), length };
  let next = 0;
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const from = next;
        for (let bytes = 0; next < pieces.length; next++) {
          bytes += lengthOf(pieces[next]);
          if (bytes > WHOLE_BYTES && next > from) break;
        }
        controller.enqueue(joined(pieces, from, next));
        if (next === pieces.length) controller.close();
      },
    },
    { highWaterMark: 0 },
  );
  return { body, length };
}

function allPieces({ head, items, end }: ListParts): ItemBytes[] {
  const pieces = [pieceOf(head)];
  for (const [index, item] of items.entries()) {
    pieces.push(index === 0 ? item : { ...item, head: `,${item.head}` });
  }
  pieces.push(pieceOf(end));
  return pieces;
}

function pieceOf(text: string): ItemBytes {
  return { head: "", stored: Buffer.from(text), from: 0 };
}

function lengthOf(piece: ItemBytes | undefined): number {
  return piece === undefined ? 0 : piece.head.length + piece.stored.length - piece.from;
}

function joined(pieces: readonly ItemBytes[], from: number, end: number): Buffer<ArrayBuffer> {
  const some = pieces.slice(from, end);
  const bytes = Buffer.allocUnsafe(some.reduce((sum, piece) => sum + lengthOf(piece), 0));
  let at = 0;
  for (const { head, stored, from: start } of some) {
    at += bytes.write(head, at, "latin1");
    // A copy, and no view of what is stored: a view makes an object that lives on beside it.
    at += Buffer.prototype.copy.call(stored, bytes, at, start, stored.length);
  }
  return bytes;
}
