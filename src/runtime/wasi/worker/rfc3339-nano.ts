const SECOND_NS = 1_000_000_000n;

/** `2026-01-02T03:04:05.123456789Z`, from nanoseconds since the Unix epoch. */
export function rfc3339Nano(nanoseconds: bigint): string {
  const seconds = nanoseconds / SECOND_NS;
  const fraction = String(nanoseconds % SECOND_NS).padStart(9, "0");
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}.${fraction}Z`;
}
