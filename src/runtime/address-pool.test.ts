import { describe, expect, test } from "bun:test";
import { AddressPool, containerRange } from "./address-pool.ts";

describe("AddressPool", () => {
  test("AddressPool: gives each address once and uses a free one as late as possible", () => {
    const pool = new AddressPool("127.42.0.0/29");
    const all = Array.from({ length: 5 }, () => pool.take());
    const range = [2, 3, 4, 5, 6].map((last) => `127.42.0.${last}`);
    expect(all).toEqual(range);
    expect(() => pool.take()).toThrow("no free address among 5 pods");
    pool.release("127.42.0.3");
    expect(pool.take()).toBe("127.42.0.3");
  });

  test("AddressPool: goes on where it was before a restart", () => {
    const before = new AddressPool("127.42.0.0/24");
    before.take();
    before.release("127.42.0.2");
    const after = new AddressPool("127.42.0.0/24", before.cursor);
    expect(after.take()).toBe("127.42.0.3");
  });

  test("AddressPool: holds what was found on disk, once, and only of its own range", () => {
    const pool = new AddressPool("127.42.0.0/24");
    expect(pool.hold("127.42.0.2")).toBe(true);
    expect(pool.hold("127.42.0.2")).toBe(false);
    expect(pool.hold("127.43.0.2")).toBe(false);
    expect(pool.hold("not an address")).toBe(false);
    expect(pool.take()).toBe("127.42.0.3");
  });

  test("AddressPool: refuses a range that is not one", () => {
    for (const cidr of ["127.42.0.0", "127.42.0.0/31", "127.300.0.0/24", "::1/64"]) {
      expect(() => new AddressPool(cidr)).toThrow("want an IPv4 range");
    }
  });
});

describe("containerRange", () => {
  test("containerRange: the last quarter of a node's range is for containers alone", () => {
    expect(containerRange("10.42.16.0/20")).toEqual({
      cidr: "10.42.28.0/22",
      prefixLength: 22,
      gateway: "10.42.28.1",
    });
    const modules = new AddressPool("10.42.0.0/28", 0, "modules");
    const all = Array.from({ length: 10 }, () => modules.take());
    expect([all[0], all.at(-1)]).toEqual(["10.42.0.2", "10.42.0.11"]);
    expect(() => modules.take()).toThrow("no free address");
    expect(modules.hold("10.42.0.12")).toBe(false);
    const containers = new AddressPool("10.42.0.0/27", 0, "containers");
    const theirs = Array.from({ length: 5 }, () => containers.take());
    expect([theirs[0], theirs.at(-1)]).toEqual(["10.42.0.26", "10.42.0.30"]);
    containers.release("10.42.0.26");
    expect(containers.take()).toBe("10.42.0.26");
  });
});
