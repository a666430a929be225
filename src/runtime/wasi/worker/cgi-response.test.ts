import { describe, expect, test } from "bun:test";
import type { Answer, AnswerBody } from "./http-front/answer.ts";
import { BODY_HIGH_WATER, CgiError, CgiResponse, MAX_HEADER_BYTES } from "./cgi-response.ts";

function responseTo(...parts: readonly string[]): Promise<Answer> {
  const output = new CgiResponse(() => undefined);
  for (const part of parts) void output.write(Buffer.from(part));
  output.end();
  return output.response;
}

function fields({ headers }: Answer, name: string): string[] {
  return headers.flatMap(([is, value]) => (is === name ? [Buffer.from(value).toString()] : []));
}

function streamed({ body }: Answer): AnswerBody {
  if (body instanceof Uint8Array) throw new Error("all of it was there");
  return body;
}

describe("CgiResponse", () => {
  test("CgiResponse reads fields and body, with either line ending, in any pieces", async () => {
    for (const end of ["\n", "\r\n"]) {
      const text = `Status: 201 Created${end}X-A: 1${end}Content-Type: a/b${end}${end}body`;
      const response = await responseTo(...text.split(""));
      expect(response.status).toBe(201);
      expect(fields(response, "x-a")).toEqual(["1"]);
      expect(fields(response, "content-type")).toEqual(["a/b"]);
      expect(Buffer.from(response.body as Uint8Array).toString()).toBe("body");
    }
  });

  test("CgiResponse drops fields about the connection and keeps repeated ones", async () => {
    const response = await responseTo("Connection: close\nSet-Cookie: a\nSet-Cookie: b\n\n");
    expect(fields(response, "connection")).toEqual([]);
    expect(fields(response, "set-cookie")).toEqual(["a", "b"]);
  });

  const nonsense = [
    "",
    "no header at all",
    "Content-Type: text/plain\n",
    "nonsense\n\nbody",
    ": empty\n\n",
    "Status: 99\n\n",
    "Status: 101 Switching\n\n",
    "Status: abc\n\n",
    "bad name: x\n\n",
    "X: \u0001\n\n",
  ];
  for (const text of nonsense) {
    test(`CgiResponse refuses ${JSON.stringify(text)}`, async () => {
      const attempt = Promise.try(() => responseTo(text));
      expect(await attempt.catch((error: unknown) => error)).toBeInstanceOf(CgiError);
    });
  }

  test("CgiResponse refuses a header without end", () => {
    const output = new CgiResponse(() => undefined);
    expect(() => output.write(Buffer.alloc(MAX_HEADER_BYTES + 1, "x"))).toThrow(CgiError);
  });

  test("CgiResponse makes the guest wait while the client does not read", async () => {
    const output = new CgiResponse(() => undefined);
    void output.write(Buffer.from("Status: 200\n\n"));
    const waiting = output.write(Buffer.alloc(BODY_HIGH_WATER, "x"));
    expect(waiting).toBeInstanceOf(Promise);
    const body = streamed(await output.response);
    expect(body.take()).toHaveLength(BODY_HIGH_WATER);
    await waiting;
    output.end();
    expect([body.take(), body.ended?.kind]).toEqual([undefined, "finished"]);
  });

  test("CgiResponse tells when the client goes away, and frees a waiting guest", async () => {
    let cancelled = 0;
    const output: CgiResponse = new CgiResponse(() => {
      cancelled++;
      output.fail(new CgiError("gone"));
    });
    void output.write(Buffer.from("Status: 200\n\n"));
    const waiting = output.write(Buffer.alloc(BODY_HIGH_WATER, "x"));
    streamed(await output.response).cancel();
    await waiting;
    expect(cancelled).toBe(1);
    expect(output.write(Buffer.from("more"))).toBeUndefined();
  });
});
