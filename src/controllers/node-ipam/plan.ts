import type { Node } from "../../api/index.ts";

export interface NodeIpamObserved {
  readonly nodes: readonly Node[];
  /** IPv4, "127.42.0.0/16". */
  readonly clusterCidr: string;
  readonly prefixLength: number;
  /**
   * The range given last, because what became free is given again as late as possible; the highest
   * one taken when that is not known.
   */
  readonly last?: string;
}

export type NodeIpamAction =
  | { readonly type: "give"; readonly node: Node; readonly podCidr: string }
  | { readonly type: "tell-exhausted"; readonly node: Node }
  /** Two nodes have addresses in common; ranges cannot be changed, so a person has to look. */
  | { readonly type: "tell-overlap"; readonly node: Node; readonly other: Node };

/** Default share of a node: 4,094 pods. */
export const NODE_PREFIX_LENGTH = 20;

/**
 * Gives every node without a range one of its own.
 *
 * Example: of 127.42.0.0/16 in parts of /20 there are 16; the first node has 127.42.0.0/20, the
 * next ones get 127.42.16.0/20, 127.42.32.0/20, …
 */
export function planNodeRanges(observed: NodeIpamObserved): readonly NodeIpamAction[] {
  const { nodes, last } = observed;
  const whole = parseRange(observed.clusterCidr);
  const size = 2 ** (32 - Math.max(observed.prefixLength, whole.prefix));
  const count = whole.size / size;
  const ordered = [...nodes].sort(byAge);
  const taken = ordered.flatMap((node) => rangesOf(node).map((range) => ({ node, ...range })));
  const actions: NodeIpamAction[] = overlaps(taken);
  const isFree = (base: number): boolean =>
    !taken.some((one) => one.base < base + size && base < one.base + one.size);
  const highest = Math.max(whole.base - size, ...taken.map(({ base }) => base));
  const from = last === undefined ? highest : parseRange(last).base;
  let cursor = Math.max(-1, Math.floor((from - whole.base) / size)) % count;
  for (const node of ordered) {
    if (node.spec?.podCIDR !== undefined || node.metadata.deletionTimestamp !== undefined) continue;
    const found = nextFree(cursor, count, (index) => isFree(whole.base + index * size));
    if (found === undefined) {
      actions.push({ type: "tell-exhausted", node });
      continue;
    }
    cursor = found;
    const base = whole.base + found * size;
    taken.push({ node, base, size });
    actions.push({ type: "give", node, podCidr: `${formatAddress(base)}/${32 - Math.log2(size)}` });
  }
  return actions;
}

/** Goes round once from behind the cursor. */
function nextFree(
  cursor: number,
  count: number,
  isFree: (index: number) => boolean,
): number | undefined {
  for (let step = 1; step <= count; step++) {
    const index = (cursor + step) % count;
    if (isFree(index)) return index;
  }
  return undefined;
}

interface Range {
  readonly base: number;
  readonly size: number;
}

function overlaps(taken: readonly (Range & { readonly node: Node })[]): NodeIpamAction[] {
  return taken.flatMap((one, index): NodeIpamAction[] => {
    const other = taken
      .slice(0, index)
      .find(({ base, size }) => base < one.base + one.size && one.base < base + size);
    return other === undefined || other.node === one.node
      ? []
      : [{ type: "tell-overlap", node: one.node, other: other.node }];
  });
}

function rangesOf({ spec }: Node): readonly Range[] {
  const cidrs = new Set([spec?.podCIDR, ...(spec?.podCIDRs ?? [])]);
  return [...cidrs].flatMap((cidr) => {
    if (cidr === undefined) return [];
    const range = parseRange(cidr);
    return Number.isNaN(range.base) ? [] : [range];
  });
}

function parseRange(cidr: string): Range & { readonly prefix: number } {
  const [address = "", bits = ""] = cidr.split("/");
  const prefix = Number(bits);
  const octets = address.split(".").map(Number);
  const value =
    octets.length === 4 ? octets.reduce((sum, octet) => sum * 256 + octet, 0) : Number.NaN;
  const size = 2 ** (32 - prefix);
  return { base: value - (value % size), size, prefix };
}

function formatAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".");
}

function byAge(left: Node, right: Node): number {
  const a = `${left.metadata.creationTimestamp ?? ""} ${left.metadata.name ?? ""}`;
  const b = `${right.metadata.creationTimestamp ?? ""} ${right.metadata.name ?? ""}`;
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
