import type { KeyPair, NodeLink } from "../os/index.ts";
import { askRenewal } from "./ask-renewal.ts";
import type { IssuingServer } from "./ask-renewal.ts";
import type { Ground } from "./ground.ts";
import { keepRenewed } from "./join-record.ts";
import { keepCertificate } from "./keep-certificate.ts";

export interface MachineCertificateOptions extends Pick<
  Ground,
  "directory" | "clock" | "random" | "logger"
> {
  readonly link: Pick<NodeLink, "fetchFrom" | "show">;
  /** What it shows now. */
  readonly peer: KeyPair;
  /** The authority, PEM. */
  readonly ca: string;
  /** The servers as they are known now. */
  readonly servers: (signal: AbortSignal) => Promise<readonly IssuingServer[]>;
  readonly signal: AbortSignal;
}

/** Replaces the certificate of an agent or a witness in time: a server is asked for another. */
export function keepMachineCertificate(options: MachineCertificateOptions): Promise<void> {
  const { directory, link, ca, random, servers } = options;
  let { certificate } = options.peer;
  return keepCertificate({
    ...options,
    name: "peer",
    certificate,
    async renew(signal) {
      const known = shuffled(await servers(signal), () => random.float());
      const pair = await askRenewal({ link, current: certificate, ca, servers: known, signal });
      // On disk first: what others were shown must be what the next start shows.
      await keepRenewed(directory, pair);
      link.show(pair);
      certificate = pair.certificate;
      return certificate;
    },
  });
}

/** Not everybody asks the same server first. */
function shuffled<T>(items: readonly T[], draw: () => number): T[] {
  const keyed = items.map((item) => ({ item, key: draw() }));
  return keyed.sort((one, other) => one.key - other.key).map(({ item }) => item);
}
