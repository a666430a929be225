import { silentLogger } from "../../src/lib/index.ts";
import { createDisk, createPeerTransport, systemClock, systemRandom } from "../../src/os/index.ts";
import { decodeMessage, encodeMessage } from "../../src/raft/index.ts";
import { openStore } from "../../src/store/index.ts";
import type { Member, MemberId } from "../../src/store/index.ts";
import type { StoreServerOptions } from "./start-stores.ts";

/*
 * A member of a group of stores behind a bare HTTPS front, for store-bench.ts: `bun store-server.ts
 * OPTIONS`, a StoreServerOptions as JSON. A PUT of /KEY is one create, or one update of what the key
 * holds; its answer is the revision. A GET is a linearizable read. POST /members adds a member.
 * Prints the URL it listens on.
 */
const options = JSON.parse(process.argv[2] ?? "{}") as StoreServerOptions;
const { ca, self, keyPair, directory, founder, members } = options;
const clusterId = "bench";
const transport = createPeerTransport({
  identity: { memberId: self.id, clusterId, keyPair, ca },
  listenHost: "127.0.0.1",
  port: Number(self.peerAddress.split(":")[1]),
  codec: { encode: encodeMessage, decode: decodeMessage },
  clock: systemClock,
  random: systemRandom,
  logger: silentLogger,
});
const store = await openStore({
  directory,
  disk: createDisk(),
  clock: systemClock,
  random: systemRandom,
  logger: silentLogger,
  group: {
    self,
    clusterId,
    transport,
    start: founder ? { type: "bootstrap" } : { type: "join", members },
  },
});

async function put(key: string, value: Uint8Array): Promise<Response> {
  const current = store.get(key);
  const kv =
    current === undefined
      ? await store.create(key, value)
      : await store.update(key, value, current.modRevision);
  return new Response(String(kv.modRevision));
}

async function read(key: string): Promise<Response> {
  await store.barrier();
  const value = store.get(key)?.value;
  return new Response(value === undefined ? null : new Uint8Array(value));
}

async function addMember(member: Member): Promise<Response> {
  await store.membership.add(member);
  const votes = (id: MemberId): boolean =>
    store.membership.members().some((known) => known.id === id && known.role === "voter");
  while (!votes(member.id)) await Bun.sleep(5);
  return new Response();
}

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  tls: { cert: keyPair.certificate, key: keyPair.privateKey },
  async fetch(request) {
    const key = request.url.slice(request.url.indexOf("/", "https://".length));
    if (request.method === "GET") return read(key);
    if (request.method === "POST") return addMember((await request.json()) as Member);
    return put(key, new Uint8Array(await request.arrayBuffer()));
  },
});
process.stdout.write(`${server.url.href}\n`);
