import { describe, expect, test } from "bun:test";
import { ApiError } from "./api-error.ts";
import { decodeLines, decodeWatch } from "./watch-decoder.ts";

function streamOf(...chunks: (string | Uint8Array)[]): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) {
        controller.enqueue(typeof chunk === "string" ? encoder.encode(chunk) : chunk);
      }
      controller.close();
    },
  });
}

describe("decodeLines", () => {
  test("decodeLines: joins lines cut anywhere, in the middle of a character too", async () => {
    const bytes = new TextEncoder().encode("häuser\nzwei\n\ndrei\n");
    for (let cut = 0; cut <= bytes.length; cut++) {
      const stream = streamOf(bytes.slice(0, cut), bytes.slice(cut));
      expect(await Array.fromAsync(decodeLines(stream))).toEqual(["häuser", "zwei", "drei"]);
    }
  });

  test("decodeLines: drops what follows the last newline", async () => {
    expect(await Array.fromAsync(decodeLines(streamOf("a\n{cut")))).toEqual(["a"]);
  });

  test("decodeLines: refuses a line over the limit, ended or not", async () => {
    for (const text of ["12345678901", "12345678901\n"]) {
      const lines = decodeLines(streamOf("1\n", text), { maxLength: 10 });
      const error: unknown = await Array.fromAsync(lines).catch((caught: unknown) => caught);
      expect(String(error)).toContain("longer than the 10 characters");
    }
  });
});

describe("decodeWatch", () => {
  test("decodeWatch: an ERROR event ends the watch with the Status it carries", async () => {
    const status = { kind: "Status", code: 410, reason: "Expired", message: "too old" };
    const events = decodeWatch(streamOf(`${JSON.stringify({ type: "ERROR", object: status })}\n`));
    const error = await Array.fromAsync(events).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ApiError);
    expect((error as ApiError).code).toBe(410);
  });
});
