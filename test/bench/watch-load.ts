import { connect } from "node:tls";

/*
 * Watchers of read-bench.ts, a process of their own: `bun watch-load.ts URL TOKEN WATCHERS EVENTS`
 * watches the ConfigMaps of the namespace "watched", prints "ready" when all watches have begun, and
 * the milliseconds from the first delivery to the last when every watcher has had so many.
 */
const [url = "", token = "", watchersText = "", eventsText = ""] = process.argv.slice(2);
const watchers = Number(watchersText);
const wanted = watchers * Number(eventsText);
const { hostname, port, host } = new URL(url);
const MARK = Buffer.from('"type":"ADDED"');
const request = [
  "GET /api/v1/namespaces/watched/configmaps?watch=true&resourceVersion=0 HTTP/1.1",
  `Host: ${host}`,
  `Authorization: Bearer ${token}`,
  "\r\n",
].join("\r\n");

let begun = 0;
let delivered = 0;
let firstMs = 0;

function countMarks(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(MARK); at >= 0; at = bytes.indexOf(MARK, at + 1)) count++;
  return count;
}

function watch(): void {
  let rest: Buffer = Buffer.alloc(0);
  let headSeen = false;
  const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false }, () =>
    socket.write(request),
  );
  socket.on("error", (error) => {
    process.stderr.write(`${String(error)}\n`);
    process.exit(1);
  });
  socket.on("data", (chunk: Buffer) => {
    if (!headSeen) {
      headSeen = true;
      if (++begun === watchers) process.stdout.write("ready\n");
    }
    const bytes = Buffer.concat([rest, chunk]);
    const count = countMarks(bytes);
    // A mark may be cut in two; one that was counted must not be counted again.
    rest = bytes.subarray(Math.max(0, bytes.length - MARK.length + 1));
    if (count === 0) return;
    if (delivered === 0) firstMs = performance.now();
    delivered += count;
    if (delivered < wanted) return;
    process.stdout.write(`${(performance.now() - firstMs).toFixed(1)}\n`);
    process.exit(0);
  });
}

for (let number = 0; number < watchers; number++) watch();
