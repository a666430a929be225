/** A message that does not read as protobuf. */
export class WireError extends Error {
  override readonly name = "WireError";
}

/** One field as it stands on the wire. */
export type WireValue =
  | { readonly type: "varint"; readonly value: bigint }
  | { readonly type: "bytes"; readonly value: Uint8Array };

export interface WireField {
  readonly number: number;
  readonly value: WireValue;
}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
const MAX_VARINT_BYTES = 10;

/**
 * The fields of one message, in the order of the wire (protobuf's encoding, wire types 0, 1, 2 and
 * 5). Throws {@link WireError} for a message that is cut off or malformed.
 */
export function* readFields(bytes: Uint8Array): Generator<WireField, void, undefined> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let index = 0; index < MAX_VARINT_BYTES; index++) {
      const byte = bytes[at++];
      if (byte === undefined) throw new WireError("the message is cut off");
      value |= BigInt(byte & 0x7f) << BigInt(7 * index);
      if (byte < 0x80) return value;
    }
    throw new WireError("a number is too long");
  };
  const take = (length: number): Uint8Array => {
    if (length > bytes.length - at) throw new WireError("the message is cut off");
    const taken = bytes.subarray(at, at + length);
    at += length;
    return taken;
  };
  while (at < bytes.length) {
    const tag = varint();
    const number = Number(tag >> 3n);
    switch (Number(tag & 7n)) {
      case VARINT:
        yield { number, value: { type: "varint", value: varint() } };
        break;
      case BYTES: {
        const length = varint();
        if (length > BigInt(bytes.length)) throw new WireError("the message is cut off");
        yield { number, value: { type: "bytes", value: take(Number(length)) } };
        break;
      }
      case FIXED64:
        yield { number, value: { type: "bytes", value: take(8) } };
        break;
      case FIXED32:
        yield { number, value: { type: "bytes", value: take(4) } };
        break;
      default:
        throw new WireError(`wire type ${tag & 7n} is not known`);
    }
  }
}
