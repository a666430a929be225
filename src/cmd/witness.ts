import { CommandError } from "../cli/index.ts";
import type { ServerFlags } from "../cli/index.ts";
import { createPeerTransport, processStartTime } from "../os/index.ts";
import { decodeMessage, encodeMessage } from "../raft/index.ts";
import { openWitness } from "../store/index.ts";
import { readSettings, writeServerRecord, writeSettings } from "./data-directory.ts";
import { openGround } from "./ground.ts";
import { withChosenPort } from "./listeners.ts";
import { assumeIdentity } from "./server-identity.ts";
import { asCommandError, removedText } from "./server-store.ts";
import type { Stoppable } from "./until-signalled.ts";
import { VERSION } from "./version.ts";

export interface RunningWitness extends Stoppable {
  readonly name: string;
  /** Where the other servers reach it. */
  readonly peerAddress: string;
}

/**
 * Puts a witness together: it votes and keeps what another server may still lack, and has neither
 * state nor API, nor a node.
 */
export async function startWitness(flags: ServerFlags): Promise<RunningWitness> {
  const ground = openGround(flags);
  const { directory, disk, clock, random, logger } = ground;
  const { joined, clusterId, memberId, start, ports } = await assumeIdentity(flags, ground);
  if (joined === undefined) {
    throw new CommandError("a witness cannot found a cluster: give --join and --token");
  }
  const failed = Promise.withResolvers<Error>();
  const transport = withChosenPort(flags.bindAddress, ports.peer, (port) =>
    createPeerTransport({
      identity: { memberId, clusterId, keyPair: joined.peer, ca: joined.ca },
      listenHost: flags.bindAddress,
      port,
      codec: { encode: encodeMessage, decode: decodeMessage },
      clock,
      random,
      logger: logger.child({ room: "peers" }),
    }),
  );
  const witness = await openWitness({
    directory: directory.store,
    disk,
    clock,
    random,
    logger: logger.child({ room: "store" }),
    onFatal: (error) =>
      failed.resolve(new Error(`the log can be written no more: ${error.message}`)),
    group: {
      self: joined.self,
      clusterId,
      transport,
      start,
      onRemoved: () => failed.resolve(new CommandError(removedText(memberId))),
    },
  }).catch(asCommandError);
  writeSettings(directory, { ...readSettings(directory), peerPort: transport.port });
  writeServerRecord(directory, {
    pid: process.pid,
    startTime: processStartTime(process.pid) ?? "",
    version: VERSION,
    server: joined.servers[0] ?? "",
    ingress: "",
    startedAt: new Date(clock.now()).toISOString(),
  });
  return {
    name: joined.self.name,
    peerAddress: joined.self.peerAddress,
    failed: failed.promise,
    stop: () => witness.close(),
  };
}
