import { amountsFrom, type LimitRangeItem, type ResourceAmounts } from "../../api/index.ts";
import type { Quantity } from "../../apimachinery/index.ts";

/** What is asked for; claims have no limits. */
export interface AskedAmounts {
  readonly requests: ResourceAmounts;
  readonly limits: ResourceAmounts | undefined;
}

/** How what is asked for breaks one item of a LimitRange, in Kubernetes' words. */
export function limitViolations(item: LimitRangeItem, asked: AskedAmounts): string[] {
  const { type } = item;
  const found: (string | undefined)[] = [];
  for (const [name, bound] of amountsFrom(item.min)) {
    found.push(
      belowMinimum(`minimum ${name} usage per ${type} is ${bound.toString()}`, {
        bound,
        ...sidesOf(name, asked),
      }),
    );
  }
  for (const [name, bound] of amountsFrom(item.max)) {
    const what = `maximum ${name} usage per ${type} is ${bound.toString()}`;
    const sides = { bound, ...sidesOf(name, asked) };
    found.push(asked.limits === undefined ? aboveRequest(what, sides) : aboveMaximum(what, sides));
  }
  for (const [name, bound] of amountsFrom(item.maxLimitRequestRatio)) {
    const what = `${name} max limit to request ratio per ${type} is ${bound.toString()}`;
    if (asked.limits === undefined) continue;
    found.push(aboveRatio(what, { bound, ...sidesOf(name, asked) }));
  }
  return found.filter((text) => text !== undefined);
}

interface Sides {
  readonly bound: Quantity;
  readonly request: Quantity | undefined;
  readonly limit: Quantity | undefined;
}

function sidesOf(name: string, { requests, limits }: AskedAmounts): Omit<Sides, "bound"> {
  return { request: requests.get(name), limit: limits?.get(name) };
}

function belowMinimum(what: string, { bound, request, limit }: Sides): string | undefined {
  if (request === undefined) return `${what}.  No request is specified`;
  if (limit !== undefined && limit.compare(bound) < 0) {
    return `${what}, but limit is ${limit.toString()}`;
  }
  return request.compare(bound) < 0 ? `${what}, but request is ${request.toString()}` : undefined;
}

function aboveMaximum(what: string, { bound, request, limit }: Sides): string | undefined {
  if (limit === undefined) return `${what}.  No limit is specified`;
  if (limit.compare(bound) > 0) return `${what}, but limit is ${limit.toString()}`;
  if (request === undefined || request.compare(bound) <= 0) return undefined;
  return `${what}, but request is ${request.toString()}`;
}

function aboveRequest(what: string, { bound, request }: Sides): string | undefined {
  if (request === undefined) return `${what}.  No request is specified`;
  return request.compare(bound) > 0 ? `${what}, but request is ${request.toString()}` : undefined;
}

function aboveRatio(what: string, { bound, request, limit }: Sides): string | undefined {
  if (request === undefined || request.isZero()) {
    return `${what}, but no request is specified or request is 0`;
  }
  if (limit === undefined || limit.isZero()) {
    return `${what}, but no limit is specified or limit is 0`;
  }
  const ratio = Number(limit.nanos) / Number(request.nanos);
  if (ratio <= Number(bound.nanos) / 1e9) return undefined;
  return `${what}, but provided ratio is ${ratio.toFixed(6)}`;
}
