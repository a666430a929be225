/** An IP address as a number, so that ranges can be walked and compared. */
export interface IpAddress {
  readonly family: 4 | 6;
  readonly value: bigint;
}

export interface IpRange {
  readonly family: 4 | 6;
  /** The first address: the host bits are zero. */
  readonly base: bigint;
  readonly prefixLength: number;
}

/** Strict: no leading zeros in IPv4 parts, no zone in IPv6. Undefined when malformed. */
export function parseIpAddress(text: string): IpAddress | undefined {
  if (text.includes(":")) {
    const value = parseIpv6(text);
    return value === undefined ? undefined : { family: 6, value };
  }
  const value = parseIpv4(text);
  return value === undefined ? undefined : { family: 4, value };
}

/** "10.0.0.0/8"; host bits are allowed and cleared. Undefined when malformed. */
export function parseCidr(text: string): IpRange | undefined {
  const match = /^([^/]+)\/(0|[1-9][0-9]{0,2})$/.exec(text);
  const address = parseIpAddress(match?.[1] ?? "");
  const prefixLength = Number(match?.[2]);
  if (address === undefined) return undefined;
  const bits = address.family === 4 ? 32 : 128;
  if (prefixLength > bits) return undefined;
  const hostBits = BigInt(bits - prefixLength);
  const base = (address.value >> hostBits) << hostBits;
  return { family: address.family, base, prefixLength };
}

/** Whether the address lies in the range. */
export function ipRangeContains(range: IpRange, address: IpAddress): boolean {
  if (range.family !== address.family) return false;
  const hostBits = BigInt((range.family === 4 ? 32 : 128) - range.prefixLength);
  return address.value >> hostBits === range.base >> hostBits;
}

/** The usual text: dotted for IPv4, RFC 5952 for IPv6. */
export function ipAddressText(address: IpAddress): string {
  return address.family === 4 ? ipv4Text(address.value) : ipv6Text(address.value);
}

function ipv4Text(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 0xffn)).join(".");
}

function ipv6Text(value: bigint): string {
  const groups: number[] = [];
  for (let shift = 112n; shift >= 0n; shift -= 16n) groups.push(Number((value >> shift) & 0xffffn));
  let longest = { start: -1, length: 1 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > longest.length) longest = { start, length };
  }
  const hex = groups.map((group) => group.toString(16));
  if (longest.start < 0) return hex.join(":");
  const before = hex.slice(0, longest.start).join(":");
  const after = hex.slice(longest.start + longest.length).join(":");
  return `${before}::${after}`;
}

function parseIpv4(text: string): bigint | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = value * 256n + BigInt(part);
  }
  return value;
}

function parseIpv6(text: string): bigint | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0] ?? "", { mayEndInIpv4: halves.length === 1 });
  const tail = halves.length === 1 ? [] : parseGroups(halves[1] ?? "", { mayEndInIpv4: true });
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...Array.from({ length: missing }, () => 0), ...tail];
  return groups.reduce((value, group) => value * 0x1_0000n + BigInt(group), 0n);
}

function parseGroups(text: string, options: { mayEndInIpv4: boolean }): number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  const groups: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (part.includes(".")) {
      const ipv4 = parseIpv4(part);
      const isLast = index === parts.length - 1;
      if (ipv4 === undefined || !isLast || !options.mayEndInIpv4) return undefined;
      groups.push(Number(ipv4 >> 16n), Number(ipv4 & 0xffffn));
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups;
}
