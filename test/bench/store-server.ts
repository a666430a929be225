import { silentLogger } from "../../src/lib/index.ts";
import { createCertificateAuthority } from "../../src/os/certificates.ts";
import { createDisk, systemClock, systemRandom } from "../../src/os/index.ts";
import { openStore } from "../../src/store/index.ts";

/*
 * The store behind a bare HTTPS front, for store-bench.ts: `bun store-server.ts DIRECTORY`. A PUT of
 * /KEY is one create, or one update of what the key holds; its answer is the revision. A GET is a
 * linearizable read. Prints the URL it listens on.
 */
const store = await openStore({
  directory: process.argv[2] ?? "",
  disk: createDisk(),
  clock: systemClock,
  random: systemRandom,
  logger: silentLogger,
});
const pair = await createCertificateAuthority(Date.now());

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  tls: { cert: pair.certificate, key: pair.privateKey },
  async fetch(request) {
    const key = request.url.slice(request.url.indexOf("/", "https://".length));
    if (request.method === "GET") {
      await store.barrier();
      return new Response(store.get(key)?.value ?? "");
    }
    const value = new Uint8Array(await request.arrayBuffer());
    const current = store.get(key);
    const kv =
      current === undefined
        ? await store.create(key, value)
        : await store.update(key, value, current.modRevision);
    return new Response(String(kv.modRevision));
  },
});
process.stdout.write(`${server.url.href}\n`);
