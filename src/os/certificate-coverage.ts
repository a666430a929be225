import { X509Certificate } from "node:crypto";

/**
 * Whether the certificate names all of `names`, was issued by `ca` to `commonName`, if one is
 * given, and lasts past `untilMs`.
 */
export function certificateCovers(
  certificate: string,
  options: { names: readonly string[]; ca: string; untilMs: number; commonName?: string },
): boolean {
  const parsed = new X509Certificate(certificate);
  const { commonName } = options;
  const isTheirs =
    commonName === undefined || parsed.subject.split("\n").includes(`CN=${commonName}`);
  if (!isTheirs) return false;
  if (Date.parse(parsed.validTo) < options.untilMs) return false;
  if (!parsed.verify(new X509Certificate(options.ca).publicKey)) return false;
  return options.names.every((name) =>
    /^\d+(\.\d+){3}$|:/.test(name)
      ? parsed.checkIP(name) !== undefined
      : parsed.checkHost(name) !== undefined,
  );
}
