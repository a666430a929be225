/** How a quantity likes to be written: "1500m", "1Gi" or "12e6". */
export type QuantityFormat = "DecimalSI" | "BinarySI" | "DecimalExponent";

/** Thrown on a text that is no quantity; the message is Kubernetes' own. */
export class QuantityError extends Error {
  override readonly name = "QuantityError";
}

const FORMAT_MESSAGE =
  "quantities must match the regular expression " +
  "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const SUFFIX_MESSAGE = "unable to parse quantity's suffix";
const NUMERIC_MESSAGE = "unable to parse numeric part of quantity";

const NANO = 1_000_000_000n;
const MAX_NANOS = 9_223_372_036_854_775_807n * NANO;
const MAX_TEXT_LENGTH = 256;
const MAX_EXPONENT = 400;

const DECIMAL_EXPONENTS: ReadonlyMap<string, number> = new Map([
  ["n", -9],
  ["u", -6],
  ["m", -3],
  ["", 0],
  ["k", 3],
  ["M", 6],
  ["G", 9],
  ["T", 12],
  ["P", 15],
  ["E", 18],
]);
const DECIMAL_SUFFIXES = new Map([...DECIMAL_EXPONENTS].map(([suffix, power]) => [power, suffix]));
const BINARY_SUFFIXES = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"] as const;

/**
 * An amount of something, exact to a billionth, as resources are written: "500m", "1Gi".
 * What is finer than a billionth rounds away from zero, as in Kubernetes. Immutable.
 */
export class Quantity {
  static readonly zero = new Quantity(0n, "DecimalSI");

  /** Billionths. */
  readonly nanos: bigint;
  readonly format: QuantityFormat;

  constructor(nanos: bigint, format: QuantityFormat) {
    const capped = nanos > MAX_NANOS ? MAX_NANOS : nanos;
    this.nanos = capped < -MAX_NANOS ? -MAX_NANOS : capped;
    this.format = format;
  }

  /** @param value a whole number */
  static ofValue(value: number | bigint, format: QuantityFormat = "DecimalSI"): Quantity {
    return new Quantity(BigInt(value) * NANO, format);
  }

  /** @param milli thousandths, a whole number */
  static ofMilli(milli: number | bigint, format: QuantityFormat = "DecimalSI"): Quantity {
    return new Quantity(BigInt(milli) * 1_000_000n, format);
  }

  /** Negative, zero or positive, as `this` is less than, equal to or greater than `other`. */
  compare(other: Quantity): number {
    return this.nanos < other.nanos ? -1 : Number(this.nanos > other.nanos);
  }

  /** The sum, in the format of `this` unless `this` is zero. */
  add(other: Quantity): Quantity {
    return new Quantity(this.nanos + other.nanos, this.#formatWith(other));
  }

  sub(other: Quantity): Quantity {
    return new Quantity(this.nanos - other.nanos, this.#formatWith(other));
  }

  isZero(): boolean {
    return this.nanos === 0n;
  }

  /** Whole units, rounded away from zero. */
  value(): number {
    return Number(divideAwayFromZero(this.nanos, NANO));
  }

  /** Thousandths, rounded away from zero. */
  milliValue(): number {
    return Number(divideAwayFromZero(this.nanos, 1_000_000n));
  }

  /** The canonical text: no fraction, the largest suffix that allows that. */
  toString(): string {
    if (this.nanos === 0n) return "0";
    const small = this.nanos > -1024n * NANO && this.nanos < 1024n * NANO;
    if (this.format === "BinarySI" && !small) return binaryText(this.nanos);
    return decimalText(this.nanos, this.format);
  }

  toJSON(): string {
    return this.toString();
  }

  #formatWith(other: Quantity): QuantityFormat {
    return this.nanos === 0n ? other.format : this.format;
  }
}

/** Throws {@link QuantityError}. */
export function parseQuantity(text: string): Quantity {
  const match = /^([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)$/.exec(text);
  if (match === null || text === "" || text.length > MAX_TEXT_LENGTH) {
    throw new QuantityError(FORMAT_MESSAGE);
  }
  const [, sign, whole = "", fraction = "", suffix = ""] = match;
  if (whole === "" && fraction === "") throw new QuantityError(NUMERIC_MESSAGE);
  const { base, exponent, format } = parseSuffix(suffix);
  // digits × 10^-fraction × base^exponent, in billionths, rounded once at the end.
  let numerator = BigInt(whole + fraction) * NANO;
  let denominator = 10n ** BigInt(fraction.length);
  const factor = BigInt(base) ** BigInt(Math.abs(exponent));
  if (exponent < 0) denominator *= factor;
  else numerator *= factor;
  const nanos = divideAwayFromZero(numerator, denominator);
  return new Quantity(sign === "-" ? -nanos : nanos, format);
}

/** The usual short forms, which need no arithmetic; E and Ei may exceed the largest quantity. */
const CANONICAL = /^(?:0|[1-9][0-9]{0,2}(?:[numkMGTP]|[KMGTP]i)?)$/;

/** The canonical text of a quantity; throws {@link QuantityError}. */
export function canonicalQuantity(text: string): string {
  return CANONICAL.test(text) ? text : parseQuantity(text).toString();
}

function parseSuffix(suffix: string): { base: number; exponent: number; format: QuantityFormat } {
  const power = DECIMAL_EXPONENTS.get(suffix);
  if (power !== undefined) return { base: 10, exponent: power, format: "DecimalSI" };
  const binary = BINARY_SUFFIXES.indexOf(suffix as (typeof BINARY_SUFFIXES)[number]);
  if (binary > 0) return { base: 1024, exponent: binary, format: "BinarySI" };
  const exponential = /^[eE]([-+]?[0-9]+)$/.exec(suffix);
  const exponent = Number(exponential?.[1]);
  if (exponential === null || Math.abs(exponent) > MAX_EXPONENT) {
    throw new QuantityError(SUFFIX_MESSAGE);
  }
  return { base: 10, exponent, format: "DecimalExponent" };
}

function divideAwayFromZero(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor;
  if (value % divisor === 0n) return quotient;
  return value < 0n ? quotient - 1n : quotient + 1n;
}

function binaryText(nanos: bigint): string {
  let value = divideAwayFromZero(nanos, NANO);
  let power = 0;
  while (power < BINARY_SUFFIXES.length - 1 && value % 1024n === 0n) {
    value /= 1024n;
    power++;
  }
  return `${value}${BINARY_SUFFIXES[power]}`;
}

function decimalText(nanos: bigint, format: QuantityFormat): string {
  let value = nanos;
  let exponent = -9;
  while (exponent < 18 && value % 1000n === 0n) {
    value /= 1000n;
    exponent += 3;
  }
  if (format !== "DecimalExponent") return `${value}${DECIMAL_SUFFIXES.get(exponent)}`;
  return exponent === 0 ? String(value) : `${value}e${exponent}`;
}
