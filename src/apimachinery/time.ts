const RFC3339 =
  /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?(?:[Zz]|([+-])(\d{2}):(\d{2}))$/;

const DAYS_IN_MONTH = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** metav1.Time: "2026-01-02T03:04:05Z". */
export function rfc3339(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** metav1.MicroTime: "2026-01-02T03:04:05.678000Z"; fractions of a millisecond count. */
export function rfc3339Micro(ms: number): string {
  const micros = Math.round((ms - Math.floor(ms)) * 1000);
  const [wholeMs, rest] = micros === 1000 ? [Math.floor(ms) + 1, 0] : [Math.floor(ms), micros];
  return `${new Date(wholeMs).toISOString().slice(0, 23)}${String(rest).padStart(3, "0")}Z`;
}

/** With nanoseconds, as container logs have it: "2026-01-02T03:04:05.678000000Z". */
export function rfc3339Nano(ms: number): string {
  return `${rfc3339Micro(ms).slice(0, -1)}000Z`;
}

/** Milliseconds since the epoch, with a fraction where the text has one; NaN when malformed. */
export function parseRfc3339(text: string): number {
  const match = RFC3339.exec(text);
  if (match === null) return Number.NaN;
  const [, year, month, day, hour, minute, second, fraction, sign, hours, minutes] = match;
  const inRange =
    Number(month) >= 1 &&
    Number(month) <= 12 &&
    Number(day) >= 1 &&
    Number(day) <= daysInMonth(Number(year), Number(month)) &&
    Number(hour) <= 23 &&
    Number(minute) <= 59 &&
    Number(second) <= 59 &&
    Number(hours ?? 0) <= 23 &&
    Number(minutes ?? 0) <= 59;
  if (!inRange) return Number.NaN;
  const utcMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  const offsetMs = (Number(hours ?? 0) * 60 + Number(minutes ?? 0)) * 60_000;
  const fractionMs = fraction === undefined ? 0 : Number(`0.${fraction}`) * 1000;
  return utcMs + fractionMs - (sign === "-" ? -offsetMs : offsetMs);
}

function daysInMonth(year: number, month: number): number {
  const isLeap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  return month === 2 && !isLeap ? 28 : (DAYS_IN_MONTH[month - 1] ?? 0);
}

/** How kubectl shows an age: "45s", "5m30s", "3h", "5d3h", "2y40d". */
export function humanDuration(ms: number): string {
  const seconds = Math.trunc(ms / 1000);
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes < 10) return withRest(`${minutes}m`, seconds % 60, "s");
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.trunc(minutes / 60);
  if (hours < 8) return withRest(`${hours}h`, minutes % 60, "m");
  if (hours < 48) return `${hours}h`;
  const days = Math.trunc(hours / 24);
  if (hours < 24 * 8) return withRest(`${days}d`, hours % 24, "h");
  if (hours < 24 * 365 * 2) return `${days}d`;
  const years = Math.trunc(days / 365);
  if (hours < 24 * 365 * 8) return withRest(`${years}y`, days % 365, "d");
  return `${years}y`;
}

function withRest(text: string, rest: number, unit: string): string {
  return rest === 0 ? text : `${text}${rest}${unit}`;
}

const DURATION_UNITS_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** A duration as Go writes it ("1h30m", "250ms", "0") in milliseconds; NaN when malformed. */
export function parseGoDuration(text: string): number {
  const match = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))+|0)$/.exec(text);
  if (match === null) return Number.NaN;
  let ms = 0;
  for (const [, amount, unit] of (match[2] ?? "").matchAll(/([\d.]+)(ns|us|µs|ms|s|m|h)/g)) {
    ms += Number(amount) * (DURATION_UNITS_MS[unit ?? ""] ?? Number.NaN);
  }
  return match[1] === "-" ? -ms : ms;
}
