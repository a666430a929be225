export type AddressFamily = "ipv4" | "ipv6";
export type Ipv4Address = readonly [number, number, number, number];
export type Ipv6Address = readonly number[];

/** `ip-address` and `ip-socket-address` of wasi:sockets/network. */
export type IpAddress =
  | { readonly tag: "ipv4"; readonly val: Ipv4Address }
  | { readonly tag: "ipv6"; readonly val: Ipv6Address };
export type IpSocketAddress =
  | { readonly tag: "ipv4"; readonly val: { readonly port: number; readonly address: Ipv4Address } }
  | {
      readonly tag: "ipv6";
      readonly val: {
        readonly port: number;
        readonly flowInfo: number;
        readonly address: Ipv6Address;
        readonly scopeId: number;
      };
    };

const IPV6_GROUPS = 8;
const IPV4 = /^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/;
const IPV6_LETTERS = /^[0-9a-f:.]*:[0-9a-f:.]*$/i;

/** As it is written: `10.0.0.1`, `fd00::1`. */
export function formatIp({ tag, val }: IpAddress): string {
  if (tag === "ipv4") return val.join(".");
  // The URL parser knows the canonical form of RFC 5952.
  const written = val.map((group) => group.toString(16)).join(":");
  return new URL(`http://[${written}]`).hostname.slice(1, -1);
}

/** Undefined for what is no address. */
export function parseIp(text: string): IpAddress | undefined {
  if (IPV4.test(text)) {
    const [a = 0, b = 0, c = 0, d = 0] = text.split(".").map(Number);
    return [a, b, c, d].some((part) => part > 255) ? undefined : { tag: "ipv4", val: [a, b, c, d] };
  }
  if (!IPV6_LETTERS.test(text) || !URL.canParse(`http://[${text}]`)) return undefined;
  const canonical = new URL(`http://[${text}]`).hostname.slice(1, -1);
  const [before = "", after] = canonical.split("::");
  const head = groupsOf(before);
  const tail = groupsOf(after ?? "");
  const zeros = Array.from({ length: IPV6_GROUPS - head.length - tail.length }, () => 0);
  return { tag: "ipv6", val: [...head, ...zeros, ...tail] };
}

function groupsOf(text: string): number[] {
  return text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
}

export function ipOf(address: IpSocketAddress): IpAddress {
  return address.tag === "ipv4"
    ? { tag: "ipv4", val: address.val.address }
    : { tag: "ipv6", val: address.val.address };
}

/** An address with its port as sockets report it; undefined when it is none. */
export function socketAddress(text: string, port: number): IpSocketAddress | undefined {
  const ip = parseIp(text);
  if (ip === undefined) return undefined;
  return ip.tag === "ipv4"
    ? { tag: "ipv4", val: { port, address: ip.val } }
    : { tag: "ipv6", val: { port, flowInfo: 0, address: ip.val, scopeId: 0 } };
}

/** `0.0.0.0` or `::`. */
export function isUnspecified({ val }: IpAddress): boolean {
  return val.every((part) => part === 0);
}

/** Whether one machine can be dialled there: no multicast, broadcast, unspecified or mapped one. */
export function isUnicast(ip: IpAddress): boolean {
  if (isUnspecified(ip)) return false;
  const [first = 0] = ip.val;
  if (ip.tag === "ipv4") return first < 224;
  const mapped = ip.val.slice(0, 5).every((group) => group === 0) && ip.val[5] === 0xffff;
  return first < 0xff00 && !mapped;
}
