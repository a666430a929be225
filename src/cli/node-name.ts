/** A node's name is the value of its label kubernetes.io/hostname too, which holds no more. */
const MAX_CHARACTERS = 63;
/** A subdomain of RFC 1123. */
const PATTERN = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;

/** What {@link isNodeName} takes, for messages. */
export const NODE_NAME_RULE =
  `a name in lower case such as node-1: letters, digits, - and ., at most ${MAX_CHARACTERS}, ` +
  "each part between dots beginning and ending with a letter or digit";

/** Whether a machine can be known by this name to the API, to others and in certificates. */
export function isNodeName(name: string): boolean {
  return name.length <= MAX_CHARACTERS && PATTERN.test(name);
}
