import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect, type TLSSocket } from "node:tls";
import { eventually } from "../../lib/testing/eventually.ts";
import { createCertificateRequest, createPrivateKey } from "../certificate-requests.ts";
import {
  createCertificateAuthority,
  issueServerCertificate,
  type KeyPair,
} from "../certificates.ts";
import { issueClientCertificate } from "../client-certificates.ts";
import { systemClock } from "../system-clock.ts";
import { HttpsDoor } from "./https-door.ts";
import { IDLE_MS, LINGER_MS, type Caller } from "./served-connection.ts";

const TIMEOUT_MS = 10_000;
const HOSTNAME = "127.0.0.1";

/** What a client sends and sees. */
class Client {
  text = "";
  closed = false;
  readonly #socket: TLSSocket;

  constructor(port: number, keys?: { readonly cert: string; readonly key: string }) {
    const tls = { host: HOSTNAME, port, rejectUnauthorized: false, ...keys };
    this.#socket = connect(tls);
    this.#socket.on("data", (chunk: Buffer) => (this.text += chunk.toString("latin1")));
    this.#socket.on("close", () => (this.closed = true));
    this.#socket.on("error", () => (this.closed = true));
  }

  send(bytes: string | Uint8Array): void {
    this.#socket.write(bytes);
  }

  async sees(text: string): Promise<void> {
    await eventually(() => this.text.includes(text), { what: `${text} in ${this.text}` });
  }

  leave(): void {
    this.#socket.destroy();
  }
}

function get(path: string, fields = ""): string {
  return `GET ${path} HTTP/1.1\r\nhost: there\r\n${fields}\r\n`;
}

/** A masked frame, as clients send them. */
function frame(first: number, payload: string): Buffer {
  const mask = [1, 2, 3, 4];
  const bytes = Buffer.from(payload).map((byte, at) => byte ^ (mask[at & 3] ?? 0));
  return Buffer.concat([Buffer.from([first, 0x80 | bytes.length, ...mask]), bytes]);
}

describe("HttpsDoor", () => {
  let ca: KeyPair;
  let keys: KeyPair;
  let door: HttpsDoor;
  const callers: Caller[] = [];
  const log: string[] = [];
  const clients: Client[] = [];

  function client(shown?: { readonly cert: string; readonly key: string }): Client {
    const made = new Client(door.port, shown);
    clients.push(made);
    return made;
  }

  async function handle(request: Request, caller: Caller): Promise<Response> {
    callers.push(caller);
    const { pathname } = new URL(request.url);
    switch (pathname) {
      case "/echo":
        return new Response(`${request.method} ${await request.text()}.`);
      case "/whole":
        return new Response("whole", { headers: { "content-length": "5", "x-a": "b" } });
      case "/last":
        return new Response("last", { headers: { connection: "close" } });
      case "/watch": {
        request.signal.addEventListener("abort", () => log.push("aborted"));
        const start = (controller: ReadableStreamDefaultController): void =>
          controller.enqueue(Buffer.from("first line"));
        return new Response(
          new ReadableStream({ start, cancel: () => void log.push("cancelled") }),
        );
      }
      case "/raw":
        door.takeOver(request, {
          headers: { connection: "Upgrade", upgrade: "raw" },
          open: (socket) => ({
            data: (bytes) => void socket.write(Buffer.from(`<${Buffer.from(bytes).toString()}>`)),
            drained: () => undefined,
            closed: () => void log.push("raw closed"),
          }),
        });
        return new Response(null);
      case "/messages":
        door.upgrade(request, {
          protocol: "p",
          open: (socket) => ({
            message: (bytes) =>
              void socket.send(Buffer.from(`got ${Buffer.from(bytes).toString()}`)),
            drained: () => undefined,
            closed: () => void log.push("messages closed"),
          }),
        });
        return new Response(null);
      default:
        throw new Error("nobody catches this");
    }
  }

  beforeAll(async () => {
    const nowMs = Date.now();
    ca = await createCertificateAuthority(nowMs);
    keys = await issueServerCertificate({ ca, names: [HOSTNAME], nowMs });
    door = makeDoor({});
  });

  function makeDoor(more: { readonly maxConnections?: number }): HttpsDoor {
    const where = { hostname: HOSTNAME, port: 0, sharesPort: false };
    const clientAuthority = ca.certificate;
    return new HttpsDoor({ ...where, keys, clientAuthority, clock: systemClock, handle, ...more });
  }

  afterAll(() => {
    for (const each of clients) each.leave();
    door.stop();
  });

  test(
    "HttpsDoor: requests of one connection are answered in their order, however they come",
    async () => {
      const one = client();
      const chunked = "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
      const bytes = `POST /echo HTTP/1.1\r\nhost: there\r\n${chunked}${get("/whole")}`;
      for (let at = 0; at < bytes.length; at += 40) one.send(bytes.slice(at, at + 40));
      one.send(`HEAD /whole HTTP/1.1\r\nhost: there\r\n\r\n${get("/nowhere")}${get("/last")}`);
      await eventually(() => one.closed);
      const answers = one.text
        .replaceAll(/date: [^\r]+\r\n/g, "")
        .split("HTTP/1.1 ")
        .slice(1);
      const plain = "content-type: text/plain\r\n";
      expect(answers).toEqual([
        `200 OK\r\ntransfer-encoding: chunked\r\n\r\nb\r\nPOST abcde.\r\n0\r\n\r\n`,
        "200 OK\r\nx-a: b\r\ncontent-length: 5\r\n\r\nwhole",
        "200 OK\r\nx-a: b\r\ncontent-length: 5\r\n\r\n",
        `500 Internal Server Error\r\n${plain}content-length: 7\r\n\r\nfailed\n`,
        `200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n4\r\nlast\r\n0\r\n\r\n`,
      ]);
    },
    TIMEOUT_MS,
  );

  test(
    "HttpsDoor: a client is who its certificate says, if the authority vouches for it",
    async () => {
      const key = await createPrivateKey();
      const request = await createCertificateRequest(key, { commonName: "jane" });
      const lifetime = { nowMs: Date.now(), lifetimeMs: 3_600_000 };
      const cert = await issueClientCertificate(ca, request, lifetime);
      const other = await createCertificateAuthority(Date.now());
      const foreign = await issueClientCertificate(other, request, lifetime);
      const shown = [undefined, { cert, key }, { cert: foreign, key }] as const;
      callers.length = 0;
      for (const each of shown) {
        const asking = client(each);
        asking.send(get("/whole"));
        await asking.sees("whole");
      }
      const server = client({ cert: keys.certificate, key: keys.privateKey });
      server.send(get("/whole"));
      await server.sees("whole");
      const [none, jane, stranger, machine] = callers.map(({ certificate }) => certificate);
      expect(none).toBeUndefined();
      expect(jane).toMatchObject({ commonName: "jane", organizations: [], fault: undefined });
      expect(stranger).toMatchObject({ commonName: "jane" });
      expect(stranger?.fault).toBeString();
      expect(machine?.fault).toBeString();
    },
    TIMEOUT_MS,
  );

  test(
    "HttpsDoor: an answer without end ends with its client",
    async () => {
      const one = client();
      one.send(get("/watch"));
      await one.sees("first line");
      expect(door.pending).toBe(1);
      one.leave();
      await eventually(() => log.includes("aborted") && log.includes("cancelled"));
      expect(door.pending).toBe(0);
    },
    TIMEOUT_MS,
  );

  test(
    "HttpsDoor: a connection that is taken over carries bytes both ways, early ones too",
    async () => {
      const one = client();
      one.send(`${get("/raw", "connection: upgrade\r\nupgrade: raw\r\n")}early`);
      await one.sees(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: raw\r\n\r\n<early>",
      );
      one.send("late");
      await one.sees("<late>");
      one.leave();
      await eventually(() => log.includes("raw closed"));
    },
    TIMEOUT_MS,
  );

  test(
    "HttpsDoor: messages come whole, whatever the frames, and pings are answered",
    async () => {
      const one = client();
      const wants = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n";
      one.send(get("/messages", `${wants}sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n`));
      // The example of RFC 6455 section 1.3.
      await one.sees("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
      const bytes = [frame(0x02, "on"), frame(0x89, "ping"), frame(0x80, "e"), frame(0x81, "two")];
      for (const byte of Buffer.concat(bytes)) one.send(Buffer.of(byte));
      await one.sees("got two");
      expect(one.text.slice(one.text.indexOf("\r\n\r\n") + 4)).toBe(
        "\x8a\x04ping\x82\x07got one\x82\x07got two",
      );
      one.send(Buffer.from([0x82, 1, 65]));
      await eventually(() => one.closed);
      expect(one.text).toContain("malformed frame");
      await eventually(() => log.includes("messages closed"));
    },
    TIMEOUT_MS,
  );

  test(
    "HttpsDoor: what is no request, and who comes when all places are taken, is turned away",
    async () => {
      const one = client();
      one.send("junk\r\n\r\n");
      await one.sees("HTTP/1.1 400 Bad Request");
      await eventually(() => one.closed);
      expect(IDLE_MS).toBeGreaterThan(LINGER_MS);
      const small = makeDoor({ maxConnections: 1 });
      const first = new Client(small.port);
      first.send(get("/whole"));
      await first.sees("whole");
      const second = new Client(small.port);
      await eventually(() => second.closed);
      small.leave();
      first.send(get("/whole"));
      await first.sees("connection: close");
      small.stop();
    },
    TIMEOUT_MS,
  );
});
