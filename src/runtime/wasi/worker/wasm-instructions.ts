import type { Reader } from "./wasm-binary.ts";

const REFERENCE = 0x63;
const REFERENCE_NULL = 0x64;
const MEMORY_INDEX_BIT = 0x40;

/** Skips a body's declarations of locals. */
export function skipLocals(reader: Reader): void {
  for (let left = reader.leb(); left > 0; left--) {
    skipLeb(reader);
    const type = reader.byte();
    if (type === REFERENCE || type === REFERENCE_NULL) skipLeb(reader);
  }
}

/**
 * Skips one instruction (core specification 5.4, with bulk memory, references, SIMD, tail calls,
 * exceptions and atomics); false for one it does not know, such as those of garbage collection.
 */
export function skipInstruction(reader: Reader): boolean {
  const code = reader.byte();
  if (code >= 0x28 && code <= 0x3e) skipMemoryArgument(reader);
  else if (code >= 0x45 && code <= 0xc4) return true;
  else if (NO_IMMEDIATE.has(code)) return true;
  else if (ONE_INDEX.has(code)) skipLeb(reader);
  else if (code === 0x11 || code === 0x13) skipLebs(reader, 2);
  else if (code === 0x0e) skipLebs(reader, reader.leb() + 1);
  else if (code === 0x1c) skipLebs(reader, reader.leb());
  else if (code === 0x1f) skipTryTable(reader);
  else if (code === 0x43) reader.skip(4);
  else if (code === 0x44) reader.skip(8);
  else if (code === 0xfc) return skipBulk(reader);
  else if (code === 0xfd) skipVector(reader);
  else if (code === 0xfe) skipAtomic(reader);
  else return false;
  return true;
}

/** unreachable, nop, else, throw_ref, end, return, catch_all, drop, select, ref.is_null … */
const NO_IMMEDIATE = new Set([0, 1, 5, 0x0a, 0x0b, 0x0f, 0x19, 0x1a, 0x1b, 0xd1, 0xd3, 0xd4]);

/** Blocks, branches, calls, variables, memory.size and grow, constants, references. */
const ONE_INDEX = new Set([
  2, 3, 4, 6, 7, 8, 9, 0x0c, 0x0d, 0x10, 0x12, 0x14, 0x15, 0x18, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25,
  0x26, 0x3f, 0x40, 0x41, 0x42, 0xd0, 0xd2, 0xd5, 0xd6,
]);

function skipTryTable(reader: Reader): void {
  skipLeb(reader);
  for (let left = reader.leb(); left > 0; left--) {
    const kind = reader.byte();
    skipLebs(reader, kind < 2 ? 2 : 1);
  }
}

/** Immediates of `0xfc n`: eight conversions, then memory and table instructions. */
const BULK_IMMEDIATES = [0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2, 1, 2, 1, 2, 1, 1, 1];

function skipBulk(reader: Reader): boolean {
  const immediates = BULK_IMMEDIATES[reader.leb()];
  if (immediates === undefined) return false;
  skipLebs(reader, immediates);
  return true;
}

function skipVector(reader: Reader): void {
  const code = reader.leb();
  if (code <= 0x0b || code === 0x5c || code === 0x5d) skipMemoryArgument(reader);
  else if (code === 0x0c || code === 0x0d) reader.skip(16);
  else if (code >= 0x15 && code <= 0x22) reader.skip(1);
  else if (code >= 0x54 && code <= 0x5b) {
    skipMemoryArgument(reader);
    reader.skip(1);
  }
}

function skipAtomic(reader: Reader): void {
  const code = reader.leb();
  if (code === 3) reader.skip(1);
  else skipMemoryArgument(reader);
}

function skipMemoryArgument(reader: Reader): void {
  const alignment = reader.leb();
  if (alignment & MEMORY_INDEX_BIT) skipLeb(reader);
  skipLeb(reader);
}

function skipLebs(reader: Reader, count: number): void {
  for (let left = count; left > 0; left--) skipLeb(reader);
}

/** Any LEB128, signed or not, of up to 64 bits. */
function skipLeb(reader: Reader): void {
  while (reader.byte() & 0x80) continue;
}
