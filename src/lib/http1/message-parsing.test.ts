import { describe, expect, test } from "bun:test";
import { randomInteger, SeededRandom } from "../random.ts";
import { BODY_MALFORMED, BodyReader } from "./body-reader.ts";
import { HEAD_MALFORMED, HEAD_TOO_LARGE, HeadReader, NEED_MORE } from "./head-reader.ts";
import { fieldEntries, isFault, type Framing, type Side } from "./message-head.ts";
import { parseRequestHead, type RequestHead } from "./request-head.ts";
import { parseResponseHead } from "./response-head.ts";

function request(text: string): RequestHead | { status: number; message: string } {
  const bytes = Buffer.from(text.replaceAll("\n", "\r\n"), "latin1");
  return parseRequestHead(bytes, 0, bytes.length);
}

function accepted(text: string): RequestHead {
  const head = request(text);
  if (isFault(head)) throw new Error(head.message);
  return head;
}

describe("parseRequestHead", () => {
  test("parseRequestHead reads target, host, framing and connection wishes", () => {
    const head = accepted("POST /a?b=c HTTP/1.1\nHost: X.example:80\nContent-Length: 5\n\n");
    expect(head).toMatchObject({
      method: "POST",
      target: "/a?b=c",
      host: "X.example:80",
      version: 11,
      framing: { type: "length", bytes: 5 },
      keepAlive: true,
    });
    expect(accepted("GET / HTTP/1.1\nHost: a\nConnection: close\n\n").keepAlive).toBe(false);
    expect(accepted("GET / HTTP/1.0\n\n")).toMatchObject({ host: "", keepAlive: false });
    const kept = accepted("GET / HTTP/1.0\nConnection: Keep-Alive\n\n");
    expect(kept.keepAlive).toBe(true);
    expect(accepted("GET http://b.example/x HTTP/1.1\nHost: a\n\n")).toMatchObject({
      host: "b.example",
      target: "/x",
    });
    const chunked = accepted("PUT / HTTP/1.1\nHost: a\nTransfer-Encoding:  Chunked \n\n");
    expect(chunked.framing.type).toBe("chunked");
  });

  test("parseRequestHead passes on WebSocket upgrades, never cleartext HTTP/2", () => {
    const upgrade = (value: string) =>
      accepted(`GET / HTTP/1.1\nHost: a\nConnection: x, Upgrade\nUpgrade: ${value}\n\n`).upgrade;
    expect(upgrade("websocket")).toBe("websocket");
    expect(upgrade("h2c")).toBe("");
    expect(upgrade("websocket, h2c")).toBe("");
  });

  test.each([
    ["two lengths", "POST / HTTP/1.1\nHost: a\nContent-Length: 1\nContent-Length: 1\n\n", 400],
    ["a list of lengths", "POST / HTTP/1.1\nHost: a\nContent-Length: 1, 1\n\n", 400],
    ["a signed length", "POST / HTTP/1.1\nHost: a\nContent-Length: +1\n\n", 400],
    [
      "length and chunked",
      "POST / HTTP/1.1\nHost: a\nContent-Length: 1\nTransfer-Encoding: chunked\n\n",
      400,
    ],
    [
      "chunked twice",
      "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked\n\n",
      400,
    ],
    ["another coding", "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: gzip, chunked\n\n", 501],
    ["an obscured coding", "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: xchunked\n\n", 501],
    ["chunked in HTTP/1.0", "POST / HTTP/1.0\nTransfer-Encoding: chunked\n\n", 400],
    ["a space before the colon", "GET / HTTP/1.1\nHost : a\n\n", 400],
    ["a folded line", "GET / HTTP/1.1\nHost: a\nX: b\n c\n\n", 400],
    ["a field without a name", "GET / HTTP/1.1\nHost: a\n: b\n\n", 400],
    ["a field without a colon", "GET / HTTP/1.1\nHost: a\nnonsense\n\n", 400],
    ["a NUL", "GET / HTTP/1.1\nHost: a\nX: \0\n\n", 400],
    ["no Host", "GET / HTTP/1.1\nX: y\n\n", 400],
    ["two Hosts", "GET / HTTP/1.1\nHost: a\nHost: a\n\n", 400],
    ["a Host with a path", "GET / HTTP/1.1\nHost: a/b\n\n", 400],
    ["a Host with an @", "GET / HTTP/1.1\nHost: me@a\n\n", 400],
    ["two spaces", "GET  / HTTP/1.1\nHost: a\n\n", 400],
    ["a space in the target", "GET /a b HTTP/1.1\nHost: a\n\n", 400],
    ["no version", "GET /\nHost: a\n\n", 400],
    ["a lower case version", "GET / http/1.1\nHost: a\n\n", 400],
    ["HTTP/2", "PRI * HTTP/2.0\n\n", 400],
    ["HTTP/1.2", "GET / HTTP/1.2\nHost: a\n\n", 505],
    ["CONNECT", "CONNECT a:443 HTTP/1.1\nHost: a\n\n", 405],
    ["a star target", "GET * HTTP/1.1\nHost: a\n\n", 400],
    ["another scheme", "GET ftp://a/ HTTP/1.1\nHost: a\n\n", 400],
    ["another expectation", "GET / HTTP/1.1\nHost: a\nExpect: more\n\n", 417],
    ["many fields", `GET / HTTP/1.1\nHost: a\n${"A: b\n".repeat(300)}\n`, 431],
  ])("parseRequestHead refuses %s", (_, text, status) => {
    expect(request(text)).toMatchObject({ status });
  });
});

describe("fieldEntries", () => {
  const fields = (side: Side): string[] => {
    const text =
      "GET / HTTP/1.1\r\nHost: a\r\nX-Real-Ip: 1.2.3.4\r\nX-Kubun-Scheme: https\r\n" +
      "Connection: x-drop, TE\r\nX-Drop: 1\r\nTE: gzip, trailers\r\nX-Keep: \t yes \r\n\r\n";
    const bytes = Buffer.from(text, "latin1");
    const head = parseRequestHead(bytes, 0, bytes.length, side);
    if (isFault(head)) throw new Error(head.message);
    expect(head.fields.trailersWelcome).toBe(true);
    return fieldEntries(bytes, head.fieldsStart, head.end - 2, head.fields.removals).map(
      ([name, value]) => `${name}=${value.toString("latin1")}`,
    );
  };

  test("fieldEntries are those that may travel on, by whose side it is", () => {
    expect(fields("pod")).toEqual([
      "Host=a",
      "X-Real-Ip=1.2.3.4",
      "X-Kubun-Scheme=https",
      "X-Keep=yes",
    ]);
    expect(fields("ingress")).toEqual(["Host=a", "X-Kubun-Scheme=https", "X-Keep=yes"]);
    expect(fields("egress")).toEqual(["Host=a", "X-Real-Ip=1.2.3.4", "X-Keep=yes"]);
  });
});

describe("parseResponseHead", () => {
  function framing(text: string, method = "GET"): Framing["type"] | number {
    const bytes = Buffer.from(text.replaceAll("\n", "\r\n"), "latin1");
    const head = parseResponseHead(bytes, 0, bytes.length, method);
    return isFault(head) ? head.status : head.framing.type;
  }

  test("parseResponseHead knows how each body ends", () => {
    expect(framing("HTTP/1.1 200 OK\nContent-Length: 3\n\n")).toBe("length");
    expect(framing("HTTP/1.1 200 OK\nContent-Length: 3\n\n", "HEAD")).toBe("none");
    expect(framing("HTTP/1.1 304 Not Modified\nContent-Length: 3\n\n")).toBe("none");
    expect(framing("HTTP/1.1 204\n\n")).toBe("none");
    expect(framing("HTTP/1.1 200 \nTransfer-Encoding: chunked\n\n")).toBe("chunked");
    expect(framing("HTTP/1.0 200 OK\n\n")).toBe("until-close");
    const both = "HTTP/1.1 200 OK\nContent-Length: 3\nTransfer-Encoding: chunked\n\n";
    expect(framing(both)).toBe(502);
    expect(framing("ICY 200 OK\n\n")).toBe(502);
    expect(framing("HTTP/1.1 99 x\n\n")).toBe(502);
  });
});

describe("BodyReader", () => {
  const chunked = (text: string): number => {
    const reader = new BodyReader({ type: "chunked" });
    const end = reader.consume(Buffer.from(text, "latin1"), 0);
    return reader.done || end === BODY_MALFORMED ? end : NEED_MORE - 10;
  };

  test("BodyReader finds the end of chunked bodies with extensions and trailers", () => {
    expect(chunked("5\r\nhello\r\n0\r\n\r\nGET")).toBe(15);
    expect(chunked("5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\nrest")).toBe(25);
    expect(chunked("00A\r\n0123456789\r\n0\r\n\r\n")).toBe(22);
    expect(chunked("5\r\nhel")).toBe(NEED_MORE - 10);
  });

  test("BodyReader keeps the trailers of a body when they are wanted", () => {
    const bytes = Buffer.from("1\r\na\r\n0\r\nSum:  7 \r\nX-B:\r\n\r\nGET", "latin1");
    for (const step of [1, 3, bytes.length]) {
      const reader = new BodyReader({ type: "chunked" }, { keepTrailers: true });
      for (let at = 0; at < bytes.length && !reader.done; at += step) {
        reader.consume(bytes.subarray(at, at + step), 0);
      }
      const trailers = reader.trailers?.map(([name, value]) => [name, value.toString("latin1")]);
      expect(trailers).toEqual([
        ["Sum", "7"],
        ["X-B", ""],
      ]);
    }
    const none = new BodyReader({ type: "chunked" }, { keepTrailers: true });
    none.consume(Buffer.from("0\r\n\r\n"), 0);
    expect([none.done, none.trailers]).toEqual([true, undefined]);
  });

  test.each([
    "5\nhello\n0\n\n",
    " 5\r\nhello\r\n",
    "5 \r\nhello\r\n",
    "0x5\r\nhello\r\n",
    "-1\r\n",
    "\r\n",
    "5\r\nhello!\r\n",
    "5;a\nb\r\nhello\r\n",
    "ffffffffffffff\r\n",
    "0\r\n folded\r\n\r\n",
    "0\r\nX y\r\n\r\n",
    "0\r\nX: \0\r\n\r\n",
    "0\r\n\rx",
    `5;${"x".repeat(2_000)}\r\n`,
    `0\r\n${"A: b\r\n".repeat(5_000)}\r\n`,
  ])("BodyReader refuses %j", (text) => {
    expect(chunked(text)).toBe(BODY_MALFORMED);
  });
});

/** Everything seen on a connection that carries these bytes in these pieces, as one text. */
function readStream(pieces: readonly Buffer[]): string {
  const seen: string[] = [];
  const reader = new HeadReader(4_096);
  let body: BodyReader | undefined;
  for (const piece of pieces) {
    for (let at = 0; at < piece.length;) {
      if (body !== undefined) {
        const end = body.consume(piece, at, (bytes, from, to) =>
          seen.push(bytes.toString("latin1", from, to)),
        );
        if (end === BODY_MALFORMED) return `${seen.join("")} body refused`;
        if (body.done) body = undefined;
        at = end;
        continue;
      }
      const next = reader.push(piece, at);
      if (next === NEED_MORE) break;
      if (next === HEAD_TOO_LARGE) return `${seen.join("")} too large`;
      if (next === HEAD_MALFORMED) return `${seen.join("")} malformed`;
      const head = parseRequestHead(reader.bytes, reader.start, reader.end);
      // Both are answered with 400; which check comes first may depend on what has arrived.
      if (isFault(head))
        return `${seen.join("")} ${head.status === 400 ? "malformed" : head.status}`;
      seen.push(`<${head.method} ${head.target} ${head.host} ${head.fields.removals.length}>`);
      body = new BodyReader(head.framing);
      if (body.done) body = undefined;
      at = next;
    }
  }
  return seen.join("");
}

const FRAGMENTS = [
  "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
  "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
  "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
  "GET /y HTTP/1.1\r\nHost: b.example\r\nConnection: x-drop\r\nX-Drop: 1\r\nTE: y\r\n\r\n",
  "\r\n",
  "PUT /z HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nT: v\r\n\r\n",
  `GET /big HTTP/1.1\r\nHost: a\r\nX: ${"v".repeat(4_200)}\r\n\r\n`,
  "GET /bad HTTP/1.1\nHost: a\n\n",
  "GET /bad HTTP/1.1\r\nHost : a\r\n\r\n",
];

describe("HeadReader", () => {
  test("HeadReader, with the parsers, sees the same however the bytes are split", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = new SeededRandom(seed);
      const count = 1 + randomInteger(random, 5);
      const texts = Array.from(
        { length: count },
        () => FRAGMENTS[randomInteger(random, FRAGMENTS.length)] ?? "",
      );
      const whole = Buffer.from(texts.join(""), "latin1");
      // Some streams have a byte changed, so that refusals are compared as well.
      if (random.float() < 0.3)
        whole[randomInteger(random, whole.length)] = randomInteger(random, 256);
      const expected = readStream([whole]);
      for (let round = 0; round < 8; round++) {
        const pieces: Buffer[] = [];
        const largest = round === 0 ? 1 : 1 + randomInteger(random, 64);
        for (let at = 0; at < whole.length;) {
          const length = 1 + randomInteger(random, largest);
          pieces.push(Buffer.from(whole.subarray(at, at + length)));
          at += length;
        }
        const text = JSON.stringify(whole.toString("latin1"));
        expect(`${seed} ${text} ${readStream(pieces)}`).toBe(`${seed} ${text} ${expected}`);
      }
    }
  });
});
