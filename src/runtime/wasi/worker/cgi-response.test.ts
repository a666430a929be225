import { describe, expect, test } from "bun:test";
import { BODY_HIGH_WATER, CgiError, CgiResponse, MAX_HEADER_BYTES } from "./cgi-response.ts";

function responseTo(...parts: readonly string[]): Promise<Response> {
  const output = new CgiResponse(() => undefined);
  for (const part of parts) void output.write(Buffer.from(part));
  output.end();
  return output.response;
}

describe("CgiResponse", () => {
  test("CgiResponse reads fields and body, with either line ending, in any pieces", async () => {
    for (const end of ["\n", "\r\n"]) {
      const text = `Status: 201 Created${end}X-A: 1${end}Content-Type: a/b${end}${end}body`;
      const response = await responseTo(...text.split(""));
      expect(response.status).toBe(201);
      expect(response.headers.get("x-a")).toBe("1");
      expect(response.headers.get("content-type")).toBe("a/b");
      expect(await response.text()).toBe("body");
    }
  });

  test("CgiResponse drops fields about the connection and keeps repeated ones", async () => {
    const response = await responseTo("Connection: close\nSet-Cookie: a\nSet-Cookie: b\n\n");
    expect(response.headers.get("connection")).toBeNull();
    expect(response.headers.getSetCookie()).toEqual(["a", "b"]);
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
    const response = await output.response;
    const reader = response.body?.getReader();
    await reader?.read();
    await waiting;
    output.end();
    expect((await reader?.read())?.done).toBe(true);
  });

  test("CgiResponse tells when the client goes away, and frees a waiting guest", async () => {
    let cancelled = 0;
    const output: CgiResponse = new CgiResponse(() => {
      cancelled++;
      output.fail(new CgiError("gone"));
    });
    void output.write(Buffer.from("Status: 200\n\n"));
    const waiting = output.write(Buffer.alloc(BODY_HIGH_WATER, "x"));
    await (await output.response).body?.cancel();
    await waiting;
    expect(cancelled).toBe(1);
    expect(output.write(Buffer.from("more"))).toBeUndefined();
  });
});
