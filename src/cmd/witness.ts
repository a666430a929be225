import { CommandError } from "../cli/index.ts";
import type { ServerFlags } from "../cli/index.ts";
import { openWitness } from "../store/index.ts";
import { readSettings, writeSettings } from "./data-directory.ts";
import { openGround } from "./ground.ts";
import { keepMachineCertificate } from "./machine-certificate.ts";
import { issuersIn } from "./peer-access.ts";
import { listenForPeers } from "./peer-listener.ts";
import { recordProcess, removeRecord } from "./process-record.ts";
import { RemovedError } from "./removed-error.ts";
import { assumeIdentity } from "./server-identity.ts";
import { asCommandError } from "./server-store.ts";
import type { Stoppable } from "./until-signalled.ts";

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
  const where = { hostname: flags.bindAddress, choice: ports.peer };
  const own = { memberId, clusterId, keyPair: joined.peer, ca: joined.ca };
  const transport = listenForPeers(ground, where, own);
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
      onRemoved: () => failed.resolve(new RemovedError(memberId)),
    },
  }).catch(asCommandError);
  const running = new AbortController();
  void keepMachineCertificate({
    ...ground,
    link: transport,
    peer: joined.peer,
    ca: joined.ca,
    servers: () => Promise.resolve(issuersIn(witness.members())),
    signal: running.signal,
  });
  writeSettings(directory, { ...readSettings(directory), peerPort: transport.port });
  recordProcess(ground, { server: joined.servers[0] ?? "", ingress: "" });
  return {
    name: joined.self.name,
    peerAddress: joined.self.peerAddress,
    failed: failed.promise,
    async stop() {
      running.abort();
      await witness.close();
      removeRecord(ground);
    },
  };
}
