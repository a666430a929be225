import { describe, expect, test } from "bun:test";
import { FRAME, frame, frameHead, FrameReader, MAX_FRAME_BYTES } from "./frame.ts";

describe("FrameReader", () => {
  test("FrameReader finds the same frames however the bytes are cut", () => {
    const payloads = ["", "a", "x".repeat(1_000), "end"];
    const stream = Buffer.concat(payloads.map((each) => frame(FRAME.data, each)));
    for (const size of [1, 2, 3, 4, 5, 6, 7, 500, 1_004, 1_005, stream.length]) {
      const seen: string[] = [];
      const reader = new FrameReader((type, payload) => seen.push(`${type}${payload.toString()}`));
      for (let at = 0; at < stream.length; at += size) {
        reader.push(Buffer.from(stream.subarray(at, at + size)));
      }
      expect(seen).toEqual(payloads.map((each) => `${FRAME.data}${each}`));
    }
  });

  test("FrameReader refuses a length that is not allowed before its bytes come", () => {
    for (const payloadBytes of [-1, MAX_FRAME_BYTES, 0xfffffffe]) {
      const head = frameHead(FRAME.data, 0);
      head.writeUInt32BE(payloadBytes + 1, 0);
      for (const cut of [2, 4, 5]) {
        const reader = new FrameReader(() => undefined);
        expect(() => {
          reader.push(Buffer.from(head.subarray(0, cut)));
          reader.push(Buffer.from(head.subarray(cut)));
        }).toThrow("allowed are 1 to");
      }
    }
  });

  test("FrameReader tells nothing more once it is stopped", () => {
    const seen: number[] = [];
    const reader = new FrameReader((type) => {
      seen.push(type);
      reader.stop();
    });
    reader.push(Buffer.concat([frame(FRAME.end), frame(FRAME.data)]));
    reader.push(frame(FRAME.data));
    expect(seen).toEqual([FRAME.end]);
  });
});
