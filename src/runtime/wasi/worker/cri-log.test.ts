import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { logFiles } from "../../log-files.ts";
import { CriLog, MAX_LINE_BYTES } from "./cri-log.ts";
import { rfc3339Nano } from "./rfc3339-nano.ts";

describe("log file", () => {
  let directory: string;
  let path: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "cri-log-"));
    path = join(directory, "0.log");
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  function open(maxBytes = 1_000_000): CriLog {
    return new CriLog({ path, maxBytes, timestamp: () => "T" });
  }

  function content(): string {
    return readFileSync(path, "utf8");
  }

  describe("CriLog", () => {
    test("CriLog writes one line a line, with its stream", () => {
      const log = open();
      log.write("stdout", Buffer.from("one\ntwo\n\n"));
      log.write("stderr", Buffer.from("three\n"));
      expect(content()).toBe("T stdout F one\nT stdout F two\nT stdout F \nT stderr F three\n");
    });

    test("CriLog tells the guest of a full disk, and loses what the runtime says", () => {
      const log = new CriLog({ path: "/dev/full", maxBytes: 100, timestamp: () => "T" });
      expect(() => log.write("stdout", Buffer.from("one\n"))).toThrow("ENOSPC");
      log.note("two");
      log.writeOrLose("stdout", Buffer.from("three\n"));
      log.close();
    });

    test("CriLog closes also when its directory is gone", () => {
      const gone = join(directory, "gone");
      mkdirSync(gone);
      const options = { maxBytes: 100, bytesPerSecond: 1, timestamp: () => "T" };
      const log = new CriLog({ ...options, path: join(gone, "0.log") });
      log.write("stdout", Buffer.from("more than its rate\n"));
      rmSync(gone, { recursive: true });
      log.close();
      expect(existsSync(gone)).toBe(false);
    });

    test("CriLog joins a line that comes in parts, a stream at a time", () => {
      const log = open();
      log.write("stdout", Buffer.from("he"));
      log.write("stderr", Buffer.from("err\n"));
      log.write("stdout", Buffer.from("llo\nrest"));
      expect(content()).toBe("T stderr F err\nT stdout F hello\n");
      log.close();
      expect(content()).toEndWith("T stdout F rest\n");
    });

    test("CriLog cuts a long line into parts, also when it has no end yet", () => {
      const log = open();
      log.write("stdout", Buffer.alloc(MAX_LINE_BYTES + 5, "x"));
      expect(content()).toBe(`T stdout P ${"x".repeat(MAX_LINE_BYTES)}\n`);
      log.write("stdout", Buffer.from("\n"));
      expect(content()).toEndWith("T stdout F xxxxx\n");
    });

    test("CriLog keeps a line of exactly the limit whole", () => {
      const log = open();
      log.write("stdout", Buffer.from(`${"x".repeat(MAX_LINE_BYTES)}\n`));
      expect(content()).toBe(`T stdout F ${"x".repeat(MAX_LINE_BYTES)}\n`);
    });

    test("CriLog keeps bytes that are no text", () => {
      const log = open();
      log.write("stdout", Buffer.from([0xff, 0x00, 0x0a]));
      expect(readFileSync(path).subarray(-4)).toEqual(Buffer.from([0x20, 0xff, 0x00, 0x0a]));
    });

    test("CriLog begins a new file at its bound and keeps four former files", () => {
      const log = open(100);
      const before = statSync(existsSync(path) ? path : directory).ino;
      for (let index = 0; index < 20; index++) log.write("stdout", Buffer.from(`line ${index}\n`));
      expect(statSync(path).ino).not.toBe(before);
      expect(statSync(path).size).toBeLessThanOrEqual(100);
      expect(content()).toEndWith("line 19\n");
      for (let index = 20; index < 60; index++) log.write("stdout", Buffer.from(`line ${index}\n`));
      const kept = logFiles(path);
      expect(kept).toHaveLength(5);
      for (const file of kept) expect(statSync(file).size).toBeLessThanOrEqual(100);
      const text = kept.map((file) => readFileSync(file, "utf8")).join("");
      const lines = Array.from(text.matchAll(/line (\d+)/g), ([, number]) => Number(number));
      expect(lines).toEqual(Array.from(lines, (_, index) => 60 - lines.length + index));
      expect(existsSync(`${path}.5`)).toBe(false);
    });

    test("CriLog continues a file that is there", () => {
      open().write("stdout", Buffer.from("first\n"));
      open().write("stdout", Buffer.from("second\n"));
      expect(content()).toBe("T stdout F first\nT stdout F second\n");
    });
  });

  describe("CriLog with a rate", () => {
    const bytesPerSecond = 10;
    const limited = () =>
      new CriLog({ path, maxBytes: 100_000, timestamp: () => "T", bytesPerSecond });

    test("CriLog drops whole lines beyond its rate, and says how much that was", () => {
      const log = limited();
      for (let index = 0; index < 20; index++) log.write("stdout", Buffer.from("12345\n"));
      expect(content()).toBe("T stdout F 12345\n".repeat(5));
      log.close();
      const dropped = 15 * "T stdout F 12345\n".length;
      const notice = `T stderr F kubun: ${dropped} bytes of output were dropped: a container`;
      expect(content().split("\n")[5]).toStartWith(notice);
      expect(content().split("\n")).toHaveLength(7);
      expect(readFileSync(`${path}.dropped`, "utf8")).toBe(`${dropped}\n`);
    });

    test("CriLog ends a long line that it began", () => {
      const log = new CriLog({
        path,
        maxBytes: 1_000_000,
        timestamp: () => "T",
        bytesPerSecond: (1.5 * MAX_LINE_BYTES) / 10,
      });
      log.write("stdout", Buffer.from(`${"x".repeat(3 * MAX_LINE_BYTES)}end\nmore\n`));
      expect(content()).toBe(`T stdout P ${"x".repeat(MAX_LINE_BYTES)}\nT stdout F end\n`);
    });

    test("CriLog writes what the runtime itself says, whatever the rate", () => {
      const log = limited();
      log.write("stdout", Buffer.alloc(1000, "x\n"));
      log.note("wasm trap");
      expect(content()).toEndWith("T stderr F wasm trap\n");
    });
  });

  describe("rfc3339Nano", () => {
    test("rfc3339Nano writes nine digits of a second", () => {
      expect(rfc3339Nano(1_767_323_045_123_456_789n)).toBe("2026-01-02T03:04:05.123456789Z");
      expect(rfc3339Nano(0n)).toBe("1970-01-01T00:00:00.000000000Z");
    });
  });
});
