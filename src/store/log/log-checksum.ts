const FRAME_ALIGNMENT = 8;

export function checksum(bytes: Uint8Array, seed: bigint): number {
  return Number(Bun.hash.xxHash64(bytes, seed) & 0xffff_ffffn);
}

/** Where the next frame may begin. */
export function alignFrame(bytes: number): number {
  return Math.ceil(bytes / FRAME_ALIGNMENT) * FRAME_ALIGNMENT;
}
