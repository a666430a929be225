import { CommandError } from "../cli/index.ts";
import type { ServerFlags } from "../cli/index.ts";
import { isSameProcess, openSharedPorts, processStartTime, systemClock } from "../os/index.ts";
import { sleep } from "../lib/index.ts";
import { startCluster } from "./cluster.ts";
import type { RunningCluster } from "./cluster.ts";
import { locateDataDirectory } from "./data-directory.ts";
import { connectToPredecessor, HANDOVER_PROTOCOL, listenForSuccessor } from "./handover-channel.ts";
import type { HandoverPeer } from "./handover-channel.ts";

/** A successor that does not answer by then is ended, and this server goes on. */
const SUCCESSOR_WITHIN_MS = 60_000;
/** A predecessor has this long to end what it is at before it gives the state away. */
const STATE_WITHIN_MS = 30_000;
/** How long connections that nobody ends may keep a server that was replaced. */
export const LEAVE_WITHIN_MS = 10 * 60_000;
const POLL_MS = 50;

/** A server whose place another process can take. */
export interface ReplaceableServer {
  readonly directory: RunningCluster["directory"];
  readonly record: RunningCluster["record"];
  readonly failed: Promise<Error>;
  /** Resolves when another process has all of it and nobody is connected here any more. */
  readonly replaced: Promise<void>;
  stop(options: { pods: "keep" | "end" }): Promise<void>;
}

/** Starts a server, in the place of the one that runs when the flags say so. */
export async function startReplaceable(flags: ServerFlags): Promise<ReplaceableServer> {
  const predecessor = flags.takeOver ? await askForState(flags) : undefined;
  let alone = predecessor === undefined;
  const cluster = await startCluster(flags, { sharesPorts: () => !alone });
  const server = new Replaceable(flags, cluster);
  if (predecessor === undefined) {
    server.listen();
    return server;
  }
  predecessor.send({ type: "ready" });
  // Who comes third waits until there are two again.
  const left = Promise.race([predecessor.next("left"), predecessor.gone]);
  void left
    .catch(() => undefined)
    .then(() => {
      alone = true;
      server.listen();
    });
  return server;
}

/**
 * Asks the server of the data directory to give it away. Undefined when none runs.
 * @throws CommandError when it refuses
 */
async function askForState(flags: ServerFlags): Promise<HandoverPeer | undefined> {
  const directory = locateDataDirectory(flags.dataDir);
  const peer = await connectToPredecessor(directory);
  if (peer === undefined) return undefined;
  const startTime = processStartTime(process.pid) ?? "";
  peer.send({ type: "hello", protocol: HANDOVER_PROTOCOL, pid: process.pid, startTime });
  const late = sleep(systemClock, STATE_WITHIN_MS).then(() =>
    Promise.reject(new Error(`it did not let go within ${STATE_WITHIN_MS / 1000} s`)),
  );
  try {
    await Promise.race([peer.next("yours"), late]);
    return peer;
  } catch (error) {
    peer.close();
    const why = error instanceof Error ? error.message : String(error);
    throw new CommandError(`the server of ${directory.path} goes on: ${why}`);
  }
}

class Replaceable implements ReplaceableServer {
  readonly failed: Promise<Error>;
  readonly replaced: Promise<void>;
  readonly #flags: ServerFlags;
  readonly #replaced = Promise.withResolvers<void>();
  readonly #failed = Promise.withResolvers<Error>();
  #cluster: RunningCluster;
  #channel: { close(): void } | undefined;
  #succession: Promise<void> | undefined;
  #stopping = false;
  /** All of it is another process's. */
  #left = false;

  constructor(flags: ServerFlags, cluster: RunningCluster) {
    this.#flags = flags;
    this.#cluster = cluster;
    this.failed = this.#failed.promise;
    this.replaced = this.#replaced.promise;
    this.#follow(cluster);
  }

  get directory(): RunningCluster["directory"] {
    return this.#cluster.directory;
  }

  get record(): RunningCluster["record"] {
    return this.#cluster.record;
  }

  /** Lets a successor come from now on. */
  listen(): void {
    if (this.#stopping) return;
    this.#channel ??= listenForSuccessor(this.directory, (peer) => {
      this.#met(peer).catch((error: unknown) => this.#failed.resolve(asError(error)));
    });
  }

  async stop(options: { pods: "keep" | "end" }): Promise<void> {
    this.#stopping = true;
    this.#channel?.close();
    // In the middle of it the successor, or what comes instead, is waited for.
    await this.#succession;
    if (!this.#left) await this.#cluster.stop(options);
  }

  #follow(cluster: RunningCluster): void {
    void cluster.failed.then((error) => {
      if (cluster === this.#cluster) this.#failed.resolve(error);
    });
  }

  async #met(peer: HandoverPeer): Promise<void> {
    let hello: Awaited<ReturnType<typeof peer.next<"hello">>>;
    try {
      hello = await peer.next("hello");
    } catch {
      return; // It left without a word.
    }
    const ports = openSharedPorts();
    const reason = this.#refusal(hello.protocol, ports !== undefined);
    if (reason !== undefined || ports === undefined) {
      peer.send({ type: "refused", reason: reason ?? "" });
      return peer.close();
    }
    this.#succession = this.#succeed(peer, hello, ports);
    await this.#succession;
    this.#succession = undefined;
  }

  #refusal(protocol: number, canShare: boolean): string | undefined {
    if (this.#stopping) return "it is being stopped";
    if (this.#succession !== undefined) return "another process is taking its place already";
    if (!canShare) return "this machine's C library cannot be called, so ports cannot be shared";
    if (protocol === HANDOVER_PROTOCOL) return undefined;
    return `it speaks version ${HANDOVER_PROTOCOL} of the handover, not ${protocol}`;
  }

  async #succeed(
    peer: HandoverPeer,
    { pid, startTime }: { readonly pid: number; readonly startTime: string },
    ports: NonNullable<ReturnType<typeof openSharedPorts>>,
  ): Promise<void> {
    const former = this.#cluster;
    const answers = Promise.withResolvers<void>();
    answers.promise.catch(() => undefined);
    ports.share();
    await former.yieldState({ ready: answers.promise });
    peer.send({ type: "yours" });
    const late = sleep(systemClock, SUCCESSOR_WITHIN_MS).then(() => Promise.reject(new Error()));
    try {
      await Promise.race([peer.next("ready"), late]);
    } catch {
      if (isSameProcess(pid, startTime)) process.kill(pid, "SIGKILL");
      while (isSameProcess(pid, startTime)) await sleep(systemClock, POLL_MS);
      // Nobody has the state now: this process is its own successor.
      this.#cluster = await startCluster(this.#flags, { sharesPorts: () => true });
      this.#follow(this.#cluster);
      answers.resolve();
      ports.leadToSuccessor();
      await former.retire();
      void untilLeft(former).then(() => former.endTraffic());
      return;
    }
    this.#left = true;
    answers.resolve();
    ports.leadToSuccessor();
    await former.retire();
    this.#channel?.close();
    peer.send({ type: "left" });
    await untilLeft(former, () => this.#stopping);
    peer.close();
    this.#replaced.resolve();
  }
}

/** Until its last client left, or the time for that is over, or nobody waits any more. */
async function untilLeft(
  cluster: RunningCluster,
  givenUp: () => boolean = () => false,
): Promise<void> {
  const untilMs = systemClock.monotonic() + LEAVE_WITHIN_MS;
  while (cluster.open > 0 && systemClock.monotonic() < untilMs && !givenUp()) {
    await sleep(systemClock, POLL_MS);
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
