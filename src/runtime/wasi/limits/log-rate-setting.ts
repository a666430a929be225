import { RuntimeError } from "../../runtime.ts";
import { LOG_RATE_ANNOTATION } from "../component/pod-grants.ts";

/** A container's log may grow so fast for long: 10 s of it fill one file of the rotation. */
export const DEFAULT_LOG_BYTES_PER_SECOND = 1024 * 1024;
const MIN_LOG_BYTES_PER_SECOND = 1024;
const MAX_LOG_BYTES_PER_SECOND = 1024 ** 3;

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
};

/** Bytes a second that each container of a pod may log. Throws `invalid-config`. */
export function logBytesPerSecond(annotations: Readonly<Record<string, string>> = {}): number {
  const text = annotations[LOG_RATE_ANNOTATION];
  if (text === undefined) return DEFAULT_LOG_BYTES_PER_SECOND;
  const [, amount = "", unit = ""] = /^(\d{1,10})([kMG]|[KMG]i)?$/.exec(text.trim()) ?? [];
  const bytes = amount === "" ? 0 : Number(amount) * (UNITS[unit] ?? 0);
  if (bytes >= MIN_LOG_BYTES_PER_SECOND && bytes <= MAX_LOG_BYTES_PER_SECOND) return bytes;
  const want = "want bytes a second, 1Ki…1Gi";
  const what = `annotation ${LOG_RATE_ANNOTATION}: ${JSON.stringify(text)}`;
  throw new RuntimeError("invalid-config", `${what}: ${want}`);
}
