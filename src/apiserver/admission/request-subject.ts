/** The object identifier of organizationName, 2.5.4.10, in DER. */
const ORGANIZATION = Buffer.from([0x06, 0x03, 0x55, 0x04, 0x0a]);
const LONG_FORM = 0x80;
const MAX_REQUEST_CHARACTERS = 64 * 1024;

/**
 * What a certificate request (PKCS #10, PEM) names as organizations. It is searched, not parsed:
 * whoever signs parses it, and a name that is found without being one only refuses more. Undefined
 * for a text that is no PEM.
 */
export function organizationsOf(pem: string): readonly string[] | undefined {
  const body = /-----BEGIN[^-]+-----([^-]+)-----END/.exec(
    pem.slice(0, MAX_REQUEST_CHARACTERS),
  )?.[1];
  if (body === undefined) return undefined;
  const bytes = Buffer.from(body, "base64");
  const found: string[] = [];
  for (let at = bytes.indexOf(ORGANIZATION); at >= 0; at = bytes.indexOf(ORGANIZATION, at + 1)) {
    const text = at + ORGANIZATION.length;
    const length = bytes[text + 1] ?? 0;
    // Names of the upper bound, 64 characters, have short lengths.
    if (length < LONG_FORM) found.push(bytes.toString("utf8", text + 2, text + 2 + length));
  }
  return found;
}
