import { parseCidr, parseIpAddress } from "./ip-address.ts";

/*
 * Each function returns what is wrong with a text, in Kubernetes' words, and an empty list when
 * nothing is. The words matter: scripts and tests of others match on them.
 */

const LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN = `${LABEL}(\\.${LABEL})*`;
const LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?";
const WILDCARD_SUBDOMAIN = `\\*\\.${SUBDOMAIN}`;
const QUALIFIED_NAME = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const LABEL_VALUE = `(${QUALIFIED_NAME})?`;
const CONFIG_KEY = "[-._a-zA-Z0-9]+";
const HTTP_HEADER = "[-A-Za-z0-9]+";
const PERCENT = "[0-9]+%";

const LABEL_PATTERN = whole(LABEL);
const SUBDOMAIN_PATTERN = whole(SUBDOMAIN);
const LABEL_1035_PATTERN = whole(LABEL_1035);
const WILDCARD_SUBDOMAIN_PATTERN = whole(WILDCARD_SUBDOMAIN);
const QUALIFIED_NAME_PATTERN = whole(QUALIFIED_NAME);
const LABEL_VALUE_PATTERN = whole(LABEL_VALUE);
const CONFIG_KEY_PATTERN = whole(CONFIG_KEY);
const HTTP_HEADER_PATTERN = whole(HTTP_HEADER);
const PERCENT_PATTERN = whole(PERCENT);

export const MAX_LABEL_BYTES = 63;
export const MAX_SUBDOMAIN_BYTES = 253;
const MAX_PORT_NAME_BYTES = 15;

const ALPHANUMERIC_ENDS = "and must start and end with an alphanumeric character";
const NAME_CHARACTERS =
  "must consist of alphanumeric characters, '-', '_' or '.', " + ALPHANUMERIC_ENDS;

/** A DNS label: names of namespaces, containers, volumes. */
export function validateDns1123Label(text: string): string[] {
  if (text.length <= MAX_LABEL_BYTES && LABEL_PATTERN.test(text)) return [];
  const message =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', " +
    ALPHANUMERIC_ENDS;
  return [
    ...tooLong(text, MAX_LABEL_BYTES),
    ...unlessMatching(text, LABEL_PATTERN, message, LABEL, ["my-name", "123-abc"]),
  ];
}

/** A DNS name: names of most objects. */
export function validateDns1123Subdomain(text: string): string[] {
  if (text.length <= MAX_SUBDOMAIN_BYTES && SUBDOMAIN_PATTERN.test(text)) return [];
  const message =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, " +
    `'-' or '.', ${ALPHANUMERIC_ENDS}`;
  return [
    ...tooLong(text, MAX_SUBDOMAIN_BYTES),
    ...unlessMatching(text, SUBDOMAIN_PATTERN, message, SUBDOMAIN, ["example.com"]),
  ];
}

/** A DNS label that starts with a letter: names of Services. */
export function validateDns1035Label(text: string): string[] {
  const message =
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', " +
    "start with an alphabetic character, and end with an alphanumeric character";
  return [
    ...tooLong(text, MAX_LABEL_BYTES),
    ...unlessMatching(text, LABEL_1035_PATTERN, message, LABEL_1035, ["my-name", "abc-123"]),
  ];
}

/** "*.example.com": wildcard hosts of an Ingress. */
export function validateWildcardDns1123Subdomain(text: string): string[] {
  const message =
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, " +
    "which must consist of lower case alphanumeric characters, '-' or '.' " +
    "and end with an alphanumeric character";
  return [
    ...tooLong(text, MAX_SUBDOMAIN_BYTES),
    ...unlessMatching(text, WILDCARD_SUBDOMAIN_PATTERN, message, WILDCARD_SUBDOMAIN, [
      "*.example.com",
    ]),
  ];
}

/** "[prefix/]name": keys of labels, annotations, taints, and names of finalizers. */
export function validateQualifiedName(text: string): string[] {
  const slash = text.indexOf("/");
  const name = slash < 0 ? text : text.slice(slash + 1);
  if (name.includes("/")) {
    const message =
      `a qualified name ${NAME_CHARACTERS}` +
      regexHint(QUALIFIED_NAME, ["MyName", "my.name", "123-abc"]);
    return [`${message} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  }
  const found: string[] = [];
  if (slash === 0) found.push("prefix part must be non-empty");
  else if (slash > 0) {
    const prefix = validateDns1123Subdomain(text.slice(0, slash));
    found.push(...prefix.map((message) => `prefix part ${message}`));
  }
  if (name === "") found.push("name part must be non-empty");
  else found.push(...tooLong(name, MAX_LABEL_BYTES).map((message) => `name part ${message}`));
  if (!QUALIFIED_NAME_PATTERN.test(name)) {
    const hint = regexHint(QUALIFIED_NAME, ["MyName", "my.name", "123-abc"]);
    found.push(`name part ${NAME_CHARACTERS}${hint}`);
  }
  return found;
}

export function validateLabelValue(text: string): string[] {
  const message =
    "a valid label must be an empty string or consist of alphanumeric characters, " +
    `'-', '_' or '.', ${ALPHANUMERIC_ENDS}`;
  const examples = ["MyValue", "my_value", "12345"];
  return [
    ...tooLong(text, MAX_LABEL_BYTES),
    ...unlessMatching(text, LABEL_VALUE_PATTERN, message, LABEL_VALUE, examples),
  ];
}

/** An IANA service name (RFC 6335): names of container ports. */
export function validatePortName(text: string): string[] {
  const found = tooLong(text, MAX_PORT_NAME_BYTES);
  if (!/^[-a-z0-9]+$/.test(text)) {
    found.push("must contain only alphanumeric characters (a-z, 0-9), and hyphens (-)");
  }
  if (!/[a-z]/.test(text)) found.push("must contain at least one letter (a-z)");
  if (text.includes("--")) found.push("must not contain consecutive hyphens");
  if (text.startsWith("-") || text.endsWith("-")) {
    found.push("must not begin or end with a hyphen");
  }
  return found;
}

export function validatePortNumber(port: number): string[] {
  return port >= 1 && port <= 65_535 ? [] : ["must be between 1 and 65535, inclusive"];
}

/** Any printable ASCII but "=", the rule since Kubernetes 1.34. */
export function validateEnvVarName(text: string): string[] {
  if (text === "") return ["must be non-empty"];
  return /^[ -<>-~]+$/.test(text)
    ? []
    : [
        "a valid environment variable name must consist only of " +
          "printable ASCII characters other than '='",
      ];
}

/** A key of a ConfigMap or Secret: becomes a file name. */
export function validateConfigMapKey(text: string): string[] {
  const message = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
  const examples = ["key.name", "KEY_NAME", "key-name"];
  const found = [
    ...tooLong(text, MAX_SUBDOMAIN_BYTES),
    ...unlessMatching(text, CONFIG_KEY_PATTERN, message, CONFIG_KEY, examples),
  ];
  if (text === "." || text === "..") found.push(`must not be '${text}'`);
  else if (text.startsWith("..")) found.push("must not start with '..'");
  return found;
}

export function validateHttpHeaderName(text: string): string[] {
  const message = "a valid HTTP header must consist of alphanumeric characters or '-'";
  return unlessMatching(text, HTTP_HEADER_PATTERN, message, HTTP_HEADER, ["X-Header-Name"]);
}

export function validatePercent(text: string): string[] {
  const message = "a valid percent string must be a numeric string followed by an ending '%'";
  return unlessMatching(text, PERCENT_PATTERN, message, PERCENT, ["1%", "93%"]);
}

export function validateIpAddress(text: string): string[] {
  if (parseIpAddress(text) !== undefined) return [];
  return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"];
}

export function validateCidr(text: string): string[] {
  if (parseCidr(text) !== undefined) return [];
  return ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"];
}

/** A name that fits one segment of a path: names of RBAC objects. */
export function validatePathSegmentName(text: string): string[] {
  if (text === "." || text === "..") return [`may not be '${text}'`];
  return ["/", "%"]
    .filter((character) => text.includes(character))
    .map((character) => `may not contain '${character}'`);
}

/** A relative path that stays below its root: items of volumes, sub-paths. */
export function validateLocalDescendingPath(text: string): string[] {
  const found: string[] = [];
  if (text.startsWith("/")) found.push("must be a relative path");
  if (text.split("/").includes("..")) found.push("must not contain '..'");
  return found;
}

/**
 * A generateName may end in a dash, because more follows: gives the text whose rules are those of
 * the finished name.
 */
export function maskTrailingDash(generateName: string): string {
  return generateName.length > 1 && generateName.endsWith("-")
    ? `${generateName.slice(0, -2)}a`
    : generateName;
}

function whole(pattern: string): RegExp {
  return new RegExp(`^(?:${pattern})$`);
}

function tooLong(text: string, maxBytes: number): string[] {
  if (text.length * 3 <= maxBytes) return [];
  const bytes = new TextEncoder().encode(text).length;
  return bytes > maxBytes ? [`must be no more than ${maxBytes} bytes`] : [];
}

function unlessMatching(
  text: string,
  pattern: RegExp,
  message: string,
  source: string,
  examples: readonly string[],
): string[] {
  return pattern.test(text) ? [] : [message + regexHint(source, examples)];
}

/** The doubled space after a comma is Kubernetes' own. */
function regexHint(source: string, examples: readonly string[]): string {
  const list = examples.map((example) => `'${example}', `).join(" or ");
  return ` (e.g. ${list}regex used for validation is '${source}')`;
}
