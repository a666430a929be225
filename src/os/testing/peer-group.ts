import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LogFields, Logger } from "../../lib/index.ts";
import { decodeMessage, encodeMessage } from "../../raft/index.ts";
import type {
  MemberId,
  Message,
  PeerHandlers,
  PeerTransport,
  ReceivedSnapshot,
} from "../../store/index.ts";
import {
  createCertificateRequest,
  createPrivateKey,
  issueFromRequest,
  issueMemberCertificate,
  issueNodeCertificate,
  type IssueOptions,
} from "../certificate-requests.ts";
import { createCertificateAuthority, type KeyPair } from "../certificates.ts";
import type { NodeLink } from "../peer/node-link.ts";
import { createPeerTransport, type PeerTransportOptions } from "../peer-transport.ts";
import { systemClock } from "../system-clock.ts";
import { systemRandom } from "../system-random.ts";

export const CLUSTER = "test-cluster";
const HOST = "127.0.0.1";

/** What one transport told its member. */
export class RecordingHandlers implements PeerHandlers {
  readonly messages: Message[] = [];
  readonly events: string[] = [];
  readonly snapshots: ReceivedSnapshot[] = [];
  takeSnapshot: () => Promise<void> = () => Promise.resolve();

  onMessages(_from: MemberId, messages: readonly Message[]): void {
    this.messages.push(...messages);
  }

  async onSnapshot(_from: MemberId, snapshot: ReceivedSnapshot): Promise<void> {
    await this.takeSnapshot();
    this.snapshots.push(snapshot);
  }

  onPeerDown(peer: MemberId): void {
    this.events.push(`down ${peer}`);
  }

  onPeerUp(peer: MemberId): void {
    this.events.push(`up ${peer}`);
  }
}

/** Keeps the warnings. */
export class RecordingLogger implements Logger {
  readonly warnings: string[] = [];

  debug(): void {}
  info(): void {}
  warn(message: string, fields: LogFields = {}): void {
    this.warnings.push(`${message} ${JSON.stringify(fields)}`);
  }
  error(message: string, fields: LogFields = {}): void {
    this.warn(message, fields);
  }
  child(): Logger {
    return this;
  }
}

export interface TestMember {
  readonly id: MemberId;
  readonly transport: PeerTransport & NodeLink;
  readonly handlers: RecordingHandlers;
  readonly logger: RecordingLogger;
  readonly address: string;
  readonly directory: string;
}

/** Transports of one cluster on this machine, with an authority of their own. */
export class PeerGroup {
  readonly ca: KeyPair;
  readonly directory = mkdtempSync(join(tmpdir(), "kubun-peers-"));
  readonly #open = new Set<PeerTransport>();

  private constructor(ca: KeyPair) {
    this.ca = ca;
  }

  static async create(): Promise<PeerGroup> {
    return new PeerGroup(await createCertificateAuthority(Date.now()));
  }

  async keysOfMember(id: number): Promise<KeyPair> {
    return this.#keys((request) =>
      issueMemberCertificate(this.ca, request, id, { names: [], nowMs: Date.now() }),
    );
  }

  async keysOfNode(name: string): Promise<KeyPair> {
    return this.#keys((request) =>
      issueNodeCertificate(this.ca, request, name, { names: [], nowMs: Date.now() }),
    );
  }

  async keys(options: IssueOptions): Promise<KeyPair> {
    return this.#keys((request) => issueFromRequest(this.ca, request, options));
  }

  /** A transport that listens; its messages are not started yet. */
  open(
    identity: Partial<PeerTransportOptions["identity"]> & { readonly keyPair: KeyPair },
    options: Partial<PeerTransportOptions> = {},
  ): PeerTransport & NodeLink {
    const transport = createPeerTransport({
      identity: { clusterId: CLUSTER, ca: this.ca.certificate, ...identity },
      listenHost: HOST,
      port: 0,
      codec: { encode: encodeMessage, decode: decodeMessage },
      clock: systemClock,
      random: systemRandom,
      logger: new RecordingLogger(),
      ...options,
    });
    this.#open.add(transport);
    return transport;
  }

  /** A member that runs, and knows nobody. */
  async member(
    number: number,
    options: Partial<PeerTransportOptions> & { readonly clusterId?: string } = {},
  ): Promise<TestMember> {
    const id = number as MemberId;
    const logger = new RecordingLogger();
    const { clusterId = CLUSTER, ...more } = options;
    const transport = this.open(
      { memberId: id, keyPair: await this.keysOfMember(id), clusterId },
      { logger, ...more },
    );
    const handlers = new RecordingHandlers();
    const directory = mkdtempSync(join(this.directory, `member-${id}-`));
    await transport.start(handlers, { snapshotDirectory: directory });
    return { id, transport, handlers, logger, address: `${HOST}:${transport.port}`, directory };
  }

  /** Members 1 to `count`, who know each other. */
  async members(count: number): Promise<readonly TestMember[]> {
    const numbers = Array.from({ length: count }, (_, index) => index + 1);
    const members = await Promise.all(numbers.map((number) => this.member(number)));
    introduce(members);
    return members;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open].map((transport) => transport.close()));
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #keys(issue: (request: string) => Promise<string>): Promise<KeyPair> {
    const privateKey = await createPrivateKey();
    // What the request names is never looked at.
    const request = await createCertificateRequest(privateKey, { commonName: "somebody" });
    return { privateKey, certificate: await issue(request) };
  }
}

/** Tells each of the members where the others are. */
export function introduce(members: readonly TestMember[]): void {
  const addresses = new Map(members.map(({ id, address }) => [id, address]));
  for (const { transport } of members) transport.setPeers(addresses);
}
