import type { Environment } from "@marcbachmann/cel-js";
import { ipAddressText, type IpAddress, parseCidr, parseIpAddress } from "../ip-address.ts";
import { LinearPattern } from "../linear-pattern.ts";
import { parseQuantity, Quantity } from "../quantity.ts";
import { CelError } from "./cel-error.ts";
import { registerLists } from "./list-library.ts";

const MAX_FOUND = 10_000;
const LOOPBACK_V4 = 127n;
const LINK_LOCAL_V4 = (169n << 8n) | 254n;
const LINK_LOCAL_V6 = 0xfe80n >> 6n;

/** An address as a value of expressions. */
class Ip {
  readonly address: IpAddress;

  constructor(text: string) {
    const address = parseIpAddress(text);
    if (address === undefined) throw new CelError(`IP Address "${text}" parse error`);
    this.address = address;
  }
}

class Cidr {
  readonly text: string;
  readonly range;

  constructor(text: string) {
    const range = parseCidr(text);
    if (range === undefined) throw new CelError(`CIDR "${text}" parse error`);
    this.text = text;
    this.range = range;
  }

  contains({ address }: Ip): boolean {
    const { family, base, prefixLength } = this.range;
    if (family !== address.family) return false;
    const hostBits = BigInt((family === 4 ? 32 : 128) - prefixLength);
    return address.value >> hostBits === base >> hostBits;
  }
}

class Address {
  readonly url: URL;

  constructor(text: string) {
    if (!isUrl(text)) throw new CelError(`URL "${text}" parse error`);
    this.url = new URL(text, "http://absolute.invalid");
  }
}

class Amount {
  readonly quantity: Quantity;

  constructor(quantity: Quantity) {
    this.quantity = quantity;
  }
}

/** What Kubernetes adds to CEL: strings, lists, regular expressions, addresses, quantities. */
export function registerKubernetesLibrary(environment: Environment): void {
  registerStrings(environment);
  registerLists(environment);
  registerAddresses(environment);
  registerUrls(environment);
  registerQuantities(environment);
}

function registerStrings(environment: Environment): void {
  environment.registerFunction("string.charAt(int): string", (text: string, at: bigint) => {
    return Array.from(text)[Number(at)] ?? "";
  });
  environment.registerFunction("string.reverse(): string", (text: string) => {
    return Array.from(text).reverse().join("");
  });
  environment.registerFunction(
    "string.replace(string, string): string",
    (text: string, from: string, to: string) => text.replaceAll(from, () => to),
  );
  environment.registerFunction("string.find(string): string", (text: string, pattern: string) => {
    return new LinearPattern(pattern).find(text, 1)[0] ?? "";
  });
  environment.registerFunction(
    "string.findAll(string): list<string>",
    (text: string, pattern: string) => new LinearPattern(pattern).find(text, MAX_FOUND),
  );
  environment.registerFunction(
    "string.findAll(string, int): list<string>",
    (text: string, pattern: string, limit: bigint) => {
      return new LinearPattern(pattern).find(text, Math.min(Number(limit), MAX_FOUND));
    },
  );
}

function registerAddresses(environment: Environment): void {
  environment.registerType("net.IP", Ip).registerType("net.CIDR", Cidr);
  environment
    .registerFunction("ip(string): net.IP", (text: string) => new Ip(text))
    .registerFunction("isIP(string): bool", (text: string) => parseIpAddress(text) !== undefined)
    .registerFunction("net.IP.family(): int", ({ address }: Ip) => BigInt(address.family))
    .registerFunction("net.IP.isUnspecified(): bool", ({ address }: Ip) => address.value === 0n)
    .registerFunction("net.IP.isLoopback(): bool", ({ address: { family, value } }: Ip) => {
      return family === 4 ? value >> 24n === LOOPBACK_V4 : value === 1n;
    })
    .registerFunction("net.IP.isLinkLocalUnicast(): bool", ({ address }: Ip) => {
      const { family, value } = address;
      return family === 4 ? value >> 16n === LINK_LOCAL_V4 : value >> 118n === LINK_LOCAL_V6;
    })
    .registerFunction("string(net.IP): string", ({ address }: Ip) => ipAddressText(address))
    .registerFunction("cidr(string): net.CIDR", (text: string) => new Cidr(text))
    .registerFunction("isCIDR(string): bool", (text: string) => parseCidr(text) !== undefined)
    .registerFunction("net.CIDR.prefixLength(): int", ({ range }: Cidr) => {
      return BigInt(range.prefixLength);
    })
    .registerFunction("net.CIDR.ip(): net.IP", ({ text }: Cidr) => {
      return new Ip(text.slice(0, text.indexOf("/")));
    })
    .registerFunction("net.CIDR.containsIP(net.IP): bool", (cidr: Cidr, ip: Ip) =>
      cidr.contains(ip),
    )
    .registerFunction("net.CIDR.containsIP(string): bool", (cidr: Cidr, text: string) => {
      return cidr.contains(new Ip(text));
    })
    .registerFunction("net.CIDR.containsCIDR(net.CIDR): bool", containsCidr)
    .registerFunction("net.CIDR.containsCIDR(string): bool", (cidr: Cidr, text: string) => {
      return containsCidr(cidr, new Cidr(text));
    })
    .registerFunction("string(net.CIDR): string", ({ text }: Cidr) => text);
}

function containsCidr(outer: Cidr, inner: Cidr): boolean {
  if (inner.range.prefixLength < outer.range.prefixLength) return false;
  return outer.contains(new Ip(inner.text.slice(0, inner.text.indexOf("/"))));
}

/** Absolute, or a path from the root, as Go's url.ParseRequestURI wants it. */
function isUrl(text: string): boolean {
  return text.startsWith("/") || URL.canParse(text);
}

function registerUrls(environment: Environment): void {
  environment.registerType("net.URL", Address);
  environment
    .registerFunction("url(string): net.URL", (text: string) => new Address(text))
    .registerFunction("isURL(string): bool", isUrl)
    .registerFunction("net.URL.getScheme(): string", ({ url }: Address) => {
      return isAbsolute(url) ? url.protocol.slice(0, -1) : "";
    })
    .registerFunction("net.URL.getHost(): string", ({ url }: Address) => {
      return isAbsolute(url) ? url.host : "";
    })
    .registerFunction("net.URL.getHostname(): string", ({ url }: Address) => {
      return isAbsolute(url) ? url.hostname.replace(/^\[|\]$/g, "") : "";
    })
    .registerFunction("net.URL.getPort(): string", ({ url }: Address) => url.port)
    .registerFunction("net.URL.getEscapedPath(): string", ({ url }: Address) => url.pathname)
    .registerFunction("net.URL.getQuery(): map<string, list<string>>", ({ url }: Address) => {
      const query = new Map<string, string[]>();
      for (const [name, value] of url.searchParams) {
        query.set(name, [...(query.get(name) ?? []), value]);
      }
      return query;
    });
}

function isAbsolute({ host }: URL): boolean {
  return host !== "absolute.invalid";
}

function registerQuantities(environment: Environment): void {
  environment.registerType("kubernetes.Quantity", Amount);
  const sum = (a: Amount, b: Amount): Amount => new Amount(a.quantity.add(b.quantity));
  const difference = (a: Amount, b: Amount): Amount => new Amount(a.quantity.sub(b.quantity));
  const order = (a: Amount, b: Amount): number => a.quantity.compare(b.quantity);
  environment
    .registerFunction("quantity(string): kubernetes.Quantity", amountOf)
    .registerFunction("isQuantity(string): bool", isQuantity)
    .registerFunction(
      "kubernetes.Quantity.compareTo(kubernetes.Quantity): int",
      (a: Amount, b: Amount) => BigInt(Math.sign(order(a, b))),
    )
    .registerFunction(
      "kubernetes.Quantity.isLessThan(kubernetes.Quantity): bool",
      (a: Amount, b: Amount) => order(a, b) < 0,
    )
    .registerFunction(
      "kubernetes.Quantity.isGreaterThan(kubernetes.Quantity): bool",
      (a: Amount, b: Amount) => order(a, b) > 0,
    )
    .registerFunction("kubernetes.Quantity.add(kubernetes.Quantity): kubernetes.Quantity", sum)
    .registerFunction(
      "kubernetes.Quantity.sub(kubernetes.Quantity): kubernetes.Quantity",
      difference,
    )
    .registerFunction("kubernetes.Quantity.sign(): int", ({ quantity }: Amount) => {
      return BigInt(Math.sign(quantity.compare(Quantity.ofValue(0))));
    })
    .registerFunction("kubernetes.Quantity.isInteger(): bool", ({ quantity }: Amount) => {
      return quantity.compare(Quantity.ofValue(quantity.value())) === 0;
    })
    .registerFunction("kubernetes.Quantity.asInteger(): int", ({ quantity }: Amount) => {
      return BigInt(quantity.value());
    })
    .registerFunction(
      "kubernetes.Quantity.asApproximateFloat(): double",
      ({ quantity }: Amount) => {
        return quantity.milliValue() / 1000;
      },
    );
}

function amountOf(text: string): Amount {
  try {
    return new Amount(parseQuantity(text));
  } catch (error) {
    throw new CelError(error instanceof Error ? error.message : "no quantity", { cause: error });
  }
}

function isQuantity(text: string): boolean {
  try {
    parseQuantity(text);
    return true;
  } catch {
    // That it cannot be read is the answer.
    return false;
  }
}
