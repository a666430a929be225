import { describe, expect, test } from "bun:test";
import { ipAddressText, ipRangeContains, parseCidr, parseIpAddress } from "./ip-address.ts";

function canonical(text: string): string | undefined {
  const address = parseIpAddress(text);
  return address && ipAddressText(address);
}

describe("IpAddress", () => {
  test("ipAddressText: writes what parseIpAddress read, in canonical form", () => {
    expect(canonical("127.42.0.7")).toBe("127.42.0.7");
    expect(canonical("2001:0DB8:0:0:0:0:0:1")).toBe("2001:db8::1");
    expect(canonical("0:0:0:0:0:0:0:0")).toBe("::");
    expect(canonical("1:0:0:2:0:0:0:3")).toBe("1:0:0:2::3");
    expect(canonical("1:0:2:3:4:5:6:7")).toBe("1:0:2:3:4:5:6:7");
    expect(canonical("::ffff:1.2.3.4")).toBe("::ffff:102:304");
  });

  test("ipRangeContains: holds at both ends and not across families", () => {
    const range = parseCidr("10.42.5.9/16");
    const contains = (text: string): boolean => {
      const address = parseIpAddress(text);
      return range !== undefined && address !== undefined && ipRangeContains(range, address);
    };
    expect(["10.42.0.0", "10.42.255.255"].map(contains)).toEqual([true, true]);
    expect(["10.41.255.255", "10.43.0.0", "::"].map(contains)).toEqual([false, false, false]);
  });

  test("parseCidr: clears the host bits", () => {
    expect(parseCidr("10.42.5.9/16")?.base).toBe(parseIpAddress("10.42.0.0")?.value ?? -1n);
  });
});
