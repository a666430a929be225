import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "../lib/index.ts";
import { eventually } from "../lib/testing/eventually.ts";
import { parseLogOptions } from "./http-api.ts";
import { type LogOptions, streamLog } from "./log-stream.ts";
import { tailOfLog } from "./log-tail.ts";

describe("container logs", () => {
  let directory = "";
  let path = "";
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "kubun-log-"));
    path = join(directory, "0.log");
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  function line(second: number, text: string, tag = "F"): string {
    const time = new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString().replace("Z", "000000Z");
    return `${time} stdout ${tag} ${text}\n`;
  }

  async function read(options: LogOptions = {}): Promise<string> {
    const { signal } = new AbortController();
    let text = "";
    for await (const bytes of streamLog(path, { ...options, signal })) text += Buffer.from(bytes);
    return text;
  }

  /** Follows the file; what came so far can be looked at. */
  function follow(options: LogOptions = {}) {
    const ended = Promise.withResolvers<void>();
    const abort = new AbortController();
    const state = { text: "", end: () => ended.resolve(), abort: () => abort.abort() };
    const done = (async () => {
      const { signal } = abort;
      const stream = streamLog(path, { ...options, signal, follow: { ended: ended.promise } });
      for await (const bytes of stream) state.text += Buffer.from(bytes).toString();
    })();
    return {
      ...state,
      done,
      get seen() {
        return state.text;
      },
    };
  }

  describe("streamLog", () => {
    test("streamLog: gives the program's lines, joins partial ones, skips damage", async () => {
      writeFileSync(
        path,
        `${line(1, "a")}${line(2, "b", "P")}${line(2, "c")}garbage\n${line(3, "é")}`,
      );
      expect(await read()).toBe("a\nbc\né\n");
      appendFileSync(path, "2026-01-01T00:00:09Z stdout F cut off");
      expect(await read()).toBe("a\nbc\né\n");
    });

    test("streamLog: tail, since, timestamps and a limit of bytes", async () => {
      writeFileSync(path, [1, 2, 3, 4].map((n) => line(n, `n${n}`)).join(""));
      expect(await read({ tailLines: 2 })).toBe("n3\nn4\n");
      expect(await read({ tailLines: 0 })).toBe("");
      expect(await read({ tailLines: 99 })).toBe("n1\nn2\nn3\nn4\n");
      expect(await read({ sinceMs: Date.UTC(2026, 0, 1, 0, 0, 3) })).toBe("n3\nn4\n");
      expect(await read({ tailLines: 1, timestamps: true })).toMatch(
        /^2026-01-01T00:00:04\S+Z n4\n$/,
      );
      expect(await read({ limitBytes: 4 })).toBe("n1\nn");
    });

    test("streamLog: the tail of a file much larger than one chunk", async () => {
      const lines = Array.from({ length: 5000 }, (_, index) =>
        line(1, `${index}${"x".repeat(50)}`),
      );
      writeFileSync(path, lines.join(""));
      const tail = await read({ tailLines: 1500 });
      expect(tail.split("\n")).toHaveLength(1501);
      expect(tail).toStartWith("3500x");
      expect((await tailOfLog(path, 2)).map((text) => text.slice(0, 4))).toEqual(["4998", "4999"]);
      expect(await tailOfLog(join(directory, "none"), 2)).toEqual([]);
    });

    test("streamLog: follows appends and rotation, until the container ended", async () => {
      writeFileSync(path, line(1, "one"));
      const following = follow();
      await eventually(() => following.seen === "one\n");
      appendFileSync(path, line(2, "two"));
      await eventually(() => following.seen === "one\ntwo\n");
      appendFileSync(path, line(3, "three"));
      renameSync(path, `${path}.1`);
      writeFileSync(path, line(4, "four"));
      await eventually(() => following.seen.endsWith("four\n"));
      expect(following.seen).toBe("one\ntwo\nthree\nfour\n");
      appendFileSync(path, line(5, "last"));
      following.end();
      await following.done;
      expect(following.seen).toEndWith("last\n");
    });

    test("streamLog: reads across the files of a rotated log, the oldest first", async () => {
      for (const [ending, second] of [".4", ".3", ".2", ".1", ""].map((one, at) => [one, at])) {
        const at = Number(second) * 2;
        writeFileSync(`${path}${ending}`, line(at, `n${at}`) + line(at + 1, `n${at + 1}`));
      }
      const all = Array.from({ length: 10 }, (_, index) => `n${index}\n`);
      expect(await read()).toBe(all.join(""));
      expect(await read({ tailLines: 5 })).toBe(all.slice(5).join(""));
      expect(await read({ tailLines: 1 })).toBe("n9\n");
      expect(await read({ tailLines: 99 })).toBe(all.join(""));
      expect(await read({ sinceMs: Date.UTC(2026, 0, 1, 0, 0, 3) })).toBe(all.slice(3).join(""));
    });

    test("streamLog: follows a log that was rotated twice before it was read", async () => {
      writeFileSync(path, line(1, "one"));
      const following = follow();
      await eventually(() => following.seen === "one\n");
      appendFileSync(path, line(2, "two"));
      renameSync(path, `${path}.2`);
      writeFileSync(`${path}.1`, line(3, "three"));
      writeFileSync(path, line(4, "four"));
      await eventually(() => following.seen.endsWith("four\n"));
      expect(following.seen).toBe("one\ntwo\nthree\nfour\n");
      following.end();
      await following.done;
    });

    test("streamLog: an abort ends following", async () => {
      writeFileSync(path, line(1, "one"));
      const following = follow();
      await eventually(() => following.seen !== "");
      following.abort();
      await following.done;
    });
  });

  describe("parseLogOptions", () => {
    test("parseLogOptions: reads the query of kubectl logs, and says what is wrong with it", () => {
      const clock = new ManualClock();
      expect(
        parseLogOptions({ follow: "true", tailLines: "5", sinceSeconds: "10" }, clock),
      ).toEqual({
        follow: true,
        previous: false,
        timestamps: false,
        tailLines: 5,
        sinceMs: clock.now() - 10_000,
      });
      const texts = [
        { tailLines: "-1" },
        { limitBytes: "0" },
        { sinceTime: "yesterday" },
        { sinceTime: "2026-01-01T00:00:00Z", sinceSeconds: "1" },
      ].map((query) => parseLogOptions(query as Record<string, string>, clock));
      expect(texts.every((text) => typeof text === "string")).toBe(true);
    });
  });
});
