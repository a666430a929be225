import { connect, constants } from "node:http2";
import type { ClientHttp2Session } from "node:http2";

/*
 * A load generator of store-bench.ts, a process of its own: puts, or linearizable reads, of 1 KiB by
 * so many clients at once, each waiting for its answer.
 * `bun store-load.ts etcd|kubun put|get URL,… CLIENTS SECONDS NUMBER`; clients take the URLs in turns.
 * Etcd gets gRPC over HTTP/2, written by hand so that the client costs as little as it can.
 */
const KEYS_A_CLIENT = 50;
const CLIENTS_A_CONNECTION = 32;
const GRPC_PUT = "/etcdserverpb.KV/Put";
const GRPC_RANGE = "/etcdserverpb.KV/Range";

const [target = "", operation = "", given = "", clients = "", seconds = "", number = ""] =
  process.argv.slice(2);
const urls = given.split(",");
const value = new Uint8Array(1_024).fill(120);
const tls = { rejectUnauthorized: false };
const latencies: number[] = [];

type Operation = "put" | "get";
type Call = (operation: Operation, key: string) => Promise<void>;

/** A length-prefixed gRPC message: PutRequest{key = 1, value = 2} or RangeRequest{key = 1}. */
function grpcMessage(operation: Operation, key: string): Buffer {
  const field = (tag: number, bytes: Uint8Array): number[] => {
    const length = bytes.length;
    const size = length < 128 ? [length] : [(length & 0x7f) | 0x80, length >> 7];
    return [tag, ...size];
  };
  const name = Buffer.from(key);
  const content = operation === "put" ? [Buffer.from(field(0x12, value)), value] : [];
  const parts = [Buffer.from(field(0x0a, name)), name, ...content];
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

function callEtcd(session: ClientHttp2Session): Call {
  return (operation, key) =>
    new Promise((resolve, reject) => {
      const stream = session.request({
        [constants.HTTP2_HEADER_METHOD]: "POST",
        [constants.HTTP2_HEADER_PATH]: operation === "put" ? GRPC_PUT : GRPC_RANGE,
        "content-type": "application/grpc",
        te: "trailers",
      });
      let status: string | string[] | undefined;
      stream.on("trailers", (trailers) => (status = trailers["grpc-status"]));
      stream.on("error", reject);
      stream.on("data", () => undefined);
      stream.on("end", () => {
        if (status === "0" || status === undefined) resolve();
        else reject(new Error(`etcd answered with status ${status.toString()}`));
      });
      stream.end(grpcMessage(operation, key));
    });
}

/** HTTP/1.1 over one TLS connection a client, by hand too: fetch would cost more than the server. */
async function callKubun(url: string): Promise<Call> {
  const { hostname, port, host } = new URL(url);
  let answered: (error?: Error) => void = () => undefined;
  let ok = false;
  let missing = 0;
  const secured = Promise.withResolvers<void>();
  const socket = await Bun.connect({
    hostname,
    port: Number(port),
    tls,
    socket: {
      handshake: () => secured.resolve(),
      data(_, bytes) {
        if (missing === 0) {
          const head = bytes.indexOf("\r\n\r\n");
          const length = /content-length: (\d+)/i.exec(bytes.toString("latin1", 0, head));
          ok = bytes.toString("latin1", 9, 12) === "200";
          missing = Number(length?.[1] ?? 0) + head + 4;
        }
        missing -= bytes.length;
        if (missing === 0) answered(ok ? undefined : odd);
      },
      close: () => answered(odd),
    },
  });
  await secured.promise;
  return (operation, key) =>
    new Promise((resolve, reject) => {
      answered = (error) => (error === undefined ? resolve() : reject(error));
      const line = `${operation.toUpperCase()} /${key} HTTP/1.1\r\nHost: ${host}\r\n`;
      const message =
        operation === "get"
          ? Buffer.from(`${line}\r\n`)
          : Buffer.concat([Buffer.from(`${line}Content-Length: ${value.length}\r\n\r\n`), value]);
      if (socket.write(message) !== message.length) reject(odd);
    });
}

const odd = new Error("the store closed the connection, or did not answer 200");
const sessions = new Map<number, ClientHttp2Session>();
const untilMs = performance.now() + Number(seconds) * 1_000;

/** One HTTP/2 connection for so many clients, all of them to the same member. */
function sessionOf(index: number): ClientHttp2Session {
  const member = index % urls.length;
  const number = Math.floor(index / urls.length / CLIENTS_A_CONNECTION) * urls.length + member;
  const session = sessions.get(number) ?? connect(urls[member] ?? "", tls);
  sessions.set(number, session);
  return session;
}

async function client(index: number): Promise<void> {
  const url = urls[index % urls.length] ?? "";
  const call = target === "etcd" ? callEtcd(sessionOf(index)) : await callKubun(url);
  const key = (turn: number): string => `bench/${number}/${index}/${turn % KEYS_A_CLIENT}`;
  for (let turn = 0; performance.now() < untilMs; turn++) {
    const startedMs = performance.now();
    await call(operation === "get" ? "get" : "put", key(turn));
    latencies.push(performance.now() - startedMs);
  }
}

await Promise.all(Array.from({ length: Number(clients) }, (_, index) => client(index)));
for (const session of sessions.values()) session.destroy();
await Bun.write(Bun.stdout, JSON.stringify(latencies));
process.exit(0);
