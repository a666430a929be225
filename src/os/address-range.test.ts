import { describe, expect, test } from "bun:test";
import { claimLoopbackRanges } from "./address-range.ts";

describe("claimLoopbackRanges", () => {
  test("claimLoopbackRanges gives two clusters different ranges, pods beside Services", () => {
    const one = claimLoopbackRanges();
    const other = claimLoopbackRanges();
    try {
      expect(one.clusterCidr).toMatch(/^127\.\d+\.0\.0\/16$/);
      expect(
        new Set([one.clusterCidr, one.serviceCidr, other.clusterCidr, other.serviceCidr]).size,
      ).toBe(4);
    } finally {
      one.release();
      other.release();
    }
  });

  test("claimLoopbackRanges gives the preferred ranges when they are free, others when not", () => {
    const first = claimLoopbackRanges();
    const preferred = { clusterCidr: first.clusterCidr, serviceCidr: first.serviceCidr };
    const second = claimLoopbackRanges(preferred);
    expect(second.serviceCidr).not.toBe(first.serviceCidr);
    first.release();
    const third = claimLoopbackRanges(preferred);
    expect(third).toMatchObject(preferred);
    second.release();
    third.release();
  });
});
