import { connect, constants } from "node:http2";
import type { ClientHttp2Session } from "node:http2";

/*
 * A load generator of store-bench.ts, a process of its own: puts of 1 KiB by so many clients at
 * once, each waiting for its answer. `bun store-load.ts etcd|kubun URL CLIENTS SECONDS NUMBER`.
 * Etcd gets gRPC over HTTP/2, written by hand so that the client costs as little as it can.
 */
const KEYS_A_CLIENT = 50;
const CLIENTS_A_CONNECTION = 32;
const GRPC_PUT = "/etcdserverpb.KV/Put";

const [target = "", url = "", clients = "", seconds = "", number = ""] = process.argv.slice(2);
const value = new Uint8Array(1_024).fill(120);
const tls = { rejectUnauthorized: false };
const latencies: number[] = [];

type Put = (key: string) => Promise<void>;

/** A length-prefixed gRPC message with PutRequest{key = 1, value = 2}. */
function putMessage(key: string): Buffer {
  const field = (tag: number, bytes: Uint8Array): number[] => {
    const length = bytes.length;
    const size = length < 128 ? [length] : [(length & 0x7f) | 0x80, length >> 7];
    return [tag, ...size];
  };
  const name = Buffer.from(key);
  const parts = [Buffer.from(field(0x0a, name)), name, Buffer.from(field(0x12, value)), value];
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

function putToEtcd(session: ClientHttp2Session): Put {
  return (key) =>
    new Promise((resolve, reject) => {
      const stream = session.request({
        [constants.HTTP2_HEADER_METHOD]: "POST",
        [constants.HTTP2_HEADER_PATH]: GRPC_PUT,
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
      stream.end(putMessage(key));
    });
}

/** HTTP/1.1 over one TLS connection a client, by hand too: fetch would cost more than the server. */
async function putToKubun(): Promise<Put> {
  const { hostname, port, host } = new URL(url);
  let answered: (error?: Error) => void = () => undefined;
  const secured = Promise.withResolvers<void>();
  const socket = await Bun.connect({
    hostname,
    port: Number(port),
    tls,
    socket: {
      handshake: () => secured.resolve(),
      // The answers are so short that each comes in one piece.
      data: (_, bytes) => answered(bytes.toString("latin1", 9, 12) === "200" ? undefined : odd),
      close: () => answered(odd),
    },
  });
  await secured.promise;
  return (key) =>
    new Promise((resolve, reject) => {
      answered = (error) => (error === undefined ? resolve() : reject(error));
      const head = `PUT /${key} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${value.length}\r\n\r\n`;
      const message = Buffer.concat([Buffer.from(head), value]);
      if (socket.write(message) !== message.length) reject(odd);
    });
}

const odd = new Error("the store closed the connection, or did not answer 200");
const sessions: ClientHttp2Session[] = [];
const untilMs = performance.now() + Number(seconds) * 1_000;

async function client(index: number): Promise<void> {
  const session = sessions[Math.floor(index / CLIENTS_A_CONNECTION)];
  const put = session === undefined ? await putToKubun() : putToEtcd(session);
  for (let turn = 0; performance.now() < untilMs; turn++) {
    const startedMs = performance.now();
    await put(`bench/${number}/${index}/${turn % KEYS_A_CLIENT}`);
    latencies.push(performance.now() - startedMs);
  }
}

const connections = target === "etcd" ? Math.ceil(Number(clients) / CLIENTS_A_CONNECTION) : 0;
for (let index = 0; index < connections; index++) sessions.push(connect(url, tls));
await Promise.all(Array.from({ length: Number(clients) }, (_, index) => client(index)));
for (const session of sessions) session.destroy();
await Bun.write(Bun.stdout, JSON.stringify(latencies));
process.exit(0);
