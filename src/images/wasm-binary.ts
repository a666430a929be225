const MAGIC = [0x00, 0x61, 0x73, 0x6d] as const;

/** What the first eight bytes of a WebAssembly binary say; undefined when it is none. */
export function wasmBinaryKind(bytes: Uint8Array): "module" | "component" | undefined {
  if (bytes.length < 8 || MAGIC.some((byte, index) => bytes[index] !== byte)) return undefined;
  const version = (bytes[4] ?? 0) | ((bytes[5] ?? 0) << 8);
  const layer = (bytes[6] ?? 0) | ((bytes[7] ?? 0) << 8);
  if (layer === 0 && version === 1) return "module";
  return layer === 1 ? "component" : undefined;
}
