import { describe, expect, test } from "bun:test";
import { DEFAULT_LOG_BYTES_PER_SECOND, logBytesPerSecond } from "./log-rate-setting.ts";

describe("logBytesPerSecond", () => {
  const rate = (text: string) => logBytesPerSecond({ "kubun.dev/log-rate": text });

  test("logBytesPerSecond reads a quantity, and has a default", () => {
    expect(logBytesPerSecond()).toBe(DEFAULT_LOG_BYTES_PER_SECOND);
    expect([rate("4Mi"), rate(" 20k "), rate("65536")]).toEqual([4_194_304, 20_000, 65_536]);
  });

  test("logBytesPerSecond refuses what is no rate, and says what is", () => {
    for (const text of ["", "0", "10", "2Gi", "fast", "1.5Mi", "-1Mi", "1Mi/s"]) {
      expect(() => rate(text)).toThrow(
        `annotation kubun.dev/log-rate: ${JSON.stringify(text)}: want bytes a second, 1Ki…1Gi`,
      );
    }
  });
});
