import { readKubeconfig } from "../../src/cmd/kubeconfig.ts";

/*
 * Load and watches on a cluster from a process of its own, which may stand in another network
 * namespace: `bun load-process.ts '{"kubeconfigs": […], "writers": 32, "watches": 2, "name": "a"}'`.
 * Writers create ConfigMaps; each moves on to the next server when one fails it. Watches resume
 * elsewhere, too. Ends when its input ends, and prints a LoadReport.
 */
export interface LoadOptions {
  readonly kubeconfigs: readonly string[];
  readonly writers: number;
  readonly watches: number;
  /** Marks this process's objects, so that several may run at once or in turn. */
  readonly name: string;
}

export interface LoadReport {
  /** Names that a server said yes to; or said, when asked again, that they are there. */
  readonly acknowledged: readonly string[];
  /** When the acknowledgements came (milliseconds since 1970), in order. */
  readonly acknowledgedAtMs: readonly number[];
  /** Milliseconds each acknowledged write took from its first try on, in the same order. */
  readonly latenciesMs: readonly number[];
  /** Failed answers and broken connections by what they said. */
  readonly failures: Readonly<Record<string, number>>;
  /** What each watch saw: names in order, and whatever went wrong with order or repetition. */
  readonly watches: readonly { readonly names: readonly string[]; readonly wrong: string[] }[];
}

interface Server {
  readonly server: string;
  readonly ca: string;
  readonly token: string;
}

const PATH = "/api/v1/namespaces/default/configmaps";
const CALL_TIMEOUT_MS = 5_000;
const PAUSE_AFTER_FAILURE_MS = 10;
const PAYLOAD = "x".repeat(512);

const options = JSON.parse(process.argv[2] ?? "{}") as LoadOptions;
const servers: Server[] = options.kubeconfigs.map((path) => {
  const entry = readKubeconfig(path);
  if (entry === undefined) throw new Error(`there is no kubeconfig ${path}`);
  return entry;
});
/** Ends the writers; the watches go on a little to see what was written last. */
const noMoreWrites = new AbortController();
const stopped = new AbortController();
const acknowledged: string[] = [];
const acknowledgedAtMs: number[] = [];
const latenciesMs: number[] = [];
const failures: Record<string, number> = {};

function serverAt(turn: number): Server {
  const server = servers[turn % servers.length];
  if (server === undefined) throw new Error("give at least one kubeconfig");
  return server;
}

function send(server: Server, path: string, init: RequestInit): Promise<Response> {
  const headers = { authorization: `Bearer ${server.token}`, "content-type": "application/json" };
  return fetch(server.server + path, { ...init, headers, tls: { ca: server.ca } });
}

function failed(what: string): void {
  failures[what] = (failures[what] ?? 0) + 1;
}

async function write(writer: number): Promise<void> {
  let turn = writer;
  for (let index = 0; !noMoreWrites.signal.aborted; index++) {
    const name = `${options.name}-${writer}-${index}`;
    const startedMs = performance.now();
    while (!(await create(serverAt(turn), name))) {
      if (noMoreWrites.signal.aborted) return;
      turn++;
      await Bun.sleep(PAUSE_AFTER_FAILURE_MS);
    }
    acknowledged.push(name);
    acknowledgedAtMs.push(Date.now());
    latenciesMs.push(Math.round(performance.now() - startedMs));
  }
}

async function create(server: Server, name: string): Promise<boolean> {
  const body = JSON.stringify({ metadata: { name }, data: { payload: PAYLOAD } });
  const signal = AbortSignal.timeout(CALL_TIMEOUT_MS);
  try {
    const response = await send(server, PATH, { method: "POST", body, signal });
    const text = await response.text();
    // A conflict: the try before this one was written although nobody could tell so.
    if (response.status === 201 || response.status === 409) return true;
    failed(`${response.status} ${text.slice(0, 200)}`);
  } catch (error) {
    failed(error instanceof Error ? error.name : String(error));
  }
  return false;
}

interface Seen {
  readonly names: string[];
  readonly wrong: string[];
  version: number;
}

async function watch(number: number, seen: Seen): Promise<void> {
  for (let turn = number; !stopped.signal.aborted; turn++) {
    try {
      await follow(serverAt(turn), seen);
    } catch (error) {
      failed(`watch: ${error instanceof Error ? error.name : String(error)}`);
      await Bun.sleep(PAUSE_AFTER_FAILURE_MS);
    }
  }
}

async function follow(server: Server, seen: Seen): Promise<void> {
  const query = `watch=true&resourceVersion=${seen.version}`;
  const response = await send(server, `${PATH}?${query}`, { signal: stopped.signal });
  if (!response.ok || response.body === null) {
    failed(`watch: ${response.status} ${(await response.text()).slice(0, 200)}`);
    await Bun.sleep(PAUSE_AFTER_FAILURE_MS);
    return;
  }
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") take(line, seen);
  }
}

function take(line: string, seen: Seen): void {
  const event = JSON.parse(line) as {
    type: string;
    object: { metadata?: { name?: string; resourceVersion?: string }; message?: string };
  };
  const { name = "", resourceVersion = "0" } = event.object.metadata ?? {};
  const version = Number(resourceVersion);
  if (event.type === "ERROR") {
    seen.wrong.push(`the watch was told: ${event.object.message}`);
    return;
  }
  if (version <= seen.version) seen.wrong.push(`${name}@${version} came after ${seen.version}`);
  seen.version = version;
  if (event.type === "ADDED" && name.startsWith(`${options.name}-`)) seen.names.push(name);
}

async function currentVersion(): Promise<number> {
  const response = await send(serverAt(0), `${PATH}?limit=1`, {});
  const list = (await response.json()) as { metadata: { resourceVersion: string } };
  return Number(list.metadata.resourceVersion);
}

const version = await currentVersion();
const watches = Array.from({ length: options.watches }, (): Seen => ({
  names: [],
  wrong: [],
  version,
}));
const watching = watches.map((seen, number) => watch(number, seen));
const writing = Array.from({ length: options.writers }, (_, writer) => write(writer));
await Bun.write(Bun.stdout, "started\n");
await Bun.stdin.text();
noMoreWrites.abort();
await Promise.all(writing);
const caughtUp = (): boolean => watches.every(({ names }) => names.length >= acknowledged.length);
for (const startedMs = Date.now(); !caughtUp() && Date.now() - startedMs < CALL_TIMEOUT_MS;) {
  await Bun.sleep(PAUSE_AFTER_FAILURE_MS);
}
stopped.abort();
await Promise.all(watching);
const report: LoadReport = { acknowledged, acknowledgedAtMs, latenciesMs, failures, watches };
await Bun.write(Bun.stdout, `${JSON.stringify(report)}\n`);
process.exit(0);
