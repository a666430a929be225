export { claimLoopbackRanges, claimRealRanges, isLoopbackRange } from "./address-range.ts";
export type { AddressRanges, ClaimedRanges } from "./address-range.ts";
export { writeFileAtomically } from "./atomic-file.ts";
export { certificateCovers } from "./certificate-coverage.ts";
export { certificateHash } from "./certificate-hash.ts";
export type { IssueServerOptions, KeyPair } from "./certificates.ts";
export { deriveClusterKeys } from "./cluster-keys.ts";
export type { ClusterKeys } from "./cluster-keys.ts";
export { createLogger } from "./pino-logger.ts";
export type { LogLevel } from "./pino-logger.ts";
export { HttpsDoor } from "./https/https-door.ts";
export type { PresentedCertificate } from "./https/presented-certificate.ts";
export type { RawSocket, TakeOver } from "./https/served-connection.ts";
export type { MessageSession, MessageSocket } from "./https/web-socket.ts";
export { closeLocalRanges, openLocalRanges, ROUTE_PROTOCOL } from "./local-ranges.ts";
export { createNetworkCommands } from "./network-commands.ts";
export { openFilesLimit } from "./open-files-limit.ts";
export { isSameProcess, processStartTime } from "./process-identity.ts";
export type { PeerErrorCode } from "./peer/peer-error.ts";
export { ANY_SERVER, hostOfNode, NODES_GROUP, SERVERS_GROUP } from "./peer/node-link.ts";
export type {
  DialTunnel,
  NodeLink,
  PeerExpectation,
  PeerHttpHandler,
  PeerIdentity,
  TunnelHandler,
  TunnelTarget,
} from "./peer/node-link.ts";
export { createPeerTransport } from "./peer-transport.ts";
export type { MessageCodec, PeerTransportOptions } from "./peer-transport.ts";
export { createProcessSpawner } from "./process-spawner.ts";
export { createDisk } from "./disk.ts";
export { openRotatingFile } from "./rotating-file.ts";
export type { RotatingFile, RotatingFileOptions } from "./rotating-file.ts";
export { openSharedPorts } from "./shared-ports.ts";
export type { SharedPorts } from "./shared-ports.ts";
export { systemClock } from "./system-clock.ts";
export { systemRandom } from "./system-random.ts";
