import type { KeyPair } from "../os/index.ts";
import { renewPeerIdentity, renewServerIdentity } from "./credentials.ts";
import type { Doors } from "./doors.ts";
import type { Ground } from "./ground.ts";
import { keepCertificate } from "./keep-certificate.ts";

export interface ServerCertificateOptions extends Pick<
  Ground,
  "directory" | "clock" | "random" | "logger"
> {
  readonly doors: Doors;
  readonly memberId: number;
  readonly lifetimeMs: number | undefined;
  readonly signal: AbortSignal;
}

/**
 * Replaces a server's own certificates in time: what it shows to the other machines, and what the
 * API shows. It has the authority's key, and asks nobody.
 */
export function keepServerCertificates(options: ServerCertificateOptions): void {
  const { directory, clock, doors, memberId, lifetimeMs } = options;
  const { ca } = doors.credentials;
  const wanted = () => ({ nowMs: clock.now(), lifetimeMs });
  keep(options, {
    name: "peer",
    pair: doors.peerIdentity,
    renew: () => renewPeerIdentity(directory, ca, { memberId, ...wanted() }),
    use: (pair) => doors.peers.show(pair),
  });
  keep(options, {
    name: "API",
    pair: doors.credentials.server,
    renew: () => renewServerIdentity(directory, ca, { names: doors.names, ...wanted() }),
    use: (pair) => doors.api.show(pair),
  });
}

function keep(
  options: ServerCertificateOptions,
  part: {
    readonly name: string;
    readonly pair: KeyPair;
    readonly renew: () => Promise<KeyPair>;
    readonly use: (pair: KeyPair) => void;
  },
): void {
  void keepCertificate({
    ...options,
    name: part.name,
    certificate: part.pair.certificate,
    async renew(signal) {
      const renewed = await part.renew();
      if (!signal.aborted) part.use(renewed);
      return renewed.certificate;
    },
  });
}
