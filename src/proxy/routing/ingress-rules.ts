import type { Ingress, IngressBackend, IngressClass } from "../../api/index.ts";

/** The value of `spec.controller` by which an IngressClass names this proxy. */
export const INGRESS_CONTROLLER = "kubun.dev/ingress";
/** The class served even when no IngressClass object exists. */
export const INGRESS_CLASS = "kubun";
const CLASS_ANNOTATION = "kubernetes.io/ingress.class";
const DEFAULT_CLASS_ANNOTATION = "ingressclass.kubernetes.io/is-default-class";

/** The Service port an Ingress names, not yet looked up. */
export interface Backend {
  readonly namespace: string;
  readonly service: string;
  readonly port: number | string;
  /** `namespace/name` of the Ingress, for messages. */
  readonly ingress: string;
}

export interface PathRule {
  readonly type: "exact" | "prefix";
  /** Prefixes have no slash at their end; the one that matches all is empty. */
  readonly path: string;
  readonly backend: Backend;
}

/** Path rules in the order in which they are tried: the first match is the most specific. */
export interface HostRules {
  readonly exact: ReadonlyMap<string, readonly PathRule[]>;
  /** Key `.example.com` stands for `*.example.com`: one more label, no less and no more. */
  readonly wildcard: ReadonlyMap<string, readonly PathRule[]>;
  /** Rules without a host, and default backends behind them. */
  readonly any: readonly PathRule[];
}

export const NO_RULES: HostRules = { exact: new Map(), wildcard: new Map(), any: [] };

/** True when this proxy is the one the Ingress asks for. */
export function isOurs(ingress: Ingress, classes: readonly IngressClass[]): boolean {
  const named = ingress.spec?.ingressClassName ?? ingress.metadata.annotations?.[CLASS_ANNOTATION];
  if (named === undefined) return classes.some((each) => isDefault(each) && isController(each));
  const found = classes.find((each) => each.metadata.name === named);
  return found === undefined ? named === INGRESS_CLASS : isController(found);
}

function isController({ metadata, spec }: IngressClass): boolean {
  return metadata.name === INGRESS_CLASS || spec?.controller === INGRESS_CONTROLLER;
}

function isDefault(ingressClass: IngressClass): boolean {
  return ingressClass.metadata.annotations?.[DEFAULT_CLASS_ANNOTATION] === "true";
}

/** The oldest first: it has what two of them claim. */
export function inOrderOfAge(ingresses: readonly Ingress[]): readonly Ingress[] {
  return [...ingresses].sort(byAge);
}

interface HostedRule {
  readonly host: string;
  readonly rule: PathRule;
  readonly isDefault: boolean;
}

/** Rules of all Ingresses together. Of two that claim a host and path, the older one has it. */
export function compileIngresses(ingresses: readonly Ingress[]): HostRules {
  const rules = inOrderOfAge(ingresses).flatMap(rulesOf);
  const hosts = new Map<string, HostedRule[]>();
  for (const rule of rules) {
    const list = hosts.get(rule.host);
    if (list === undefined) hosts.set(rule.host, [rule]);
    else list.push(rule);
  }
  const exact = new Map<string, readonly PathRule[]>();
  const wildcard = new Map<string, readonly PathRule[]>();
  let any: readonly PathRule[] = [];
  for (const [host, list] of hosts) {
    const ordered = list.sort(bySpecificity).map((each) => each.rule);
    if (host === "") any = ordered;
    else if (host.startsWith("*.")) wildcard.set(host.slice(1), ordered);
    else exact.set(host, ordered);
  }
  return { exact, wildcard, any };
}

function rulesOf(ingress: Ingress): HostedRule[] {
  const fallback = backendOf(ingress, ingress.spec?.defaultBackend);
  const found: HostedRule[] = [];
  for (const { host = "", http } of ingress.spec?.rules ?? []) {
    const lower = host.toLowerCase();
    for (const { path, pathType, backend } of http?.paths ?? []) {
      const target = backendOf(ingress, backend);
      if (target === undefined) continue;
      const rule: PathRule =
        pathType === "Exact"
          ? { type: "exact", path: path ?? "/", backend: target }
          : { type: "prefix", path: (path ?? "").replace(/\/+$/, ""), backend: target };
      found.push({ host: lower, rule, isDefault: false });
    }
    if (fallback !== undefined && lower !== "") found.push(defaultRule(lower, fallback));
  }
  if (fallback !== undefined) found.push(defaultRule("", fallback));
  return found;
}

function defaultRule(host: string, backend: Backend): HostedRule {
  return { host, rule: { type: "prefix", path: "", backend }, isDefault: true };
}

function backendOf(ingress: Ingress, backend: IngressBackend | undefined): Backend | undefined {
  const service = backend?.service;
  const port = service?.port?.number ?? service?.port?.name;
  if (service === undefined || port === undefined) return undefined;
  const namespace = ingress.metadata.namespace ?? "";
  const name = ingress.metadata.name ?? "";
  return { namespace, service: service.name, port, ingress: `${namespace}/${name}` };
}

function byAge(left: Ingress, right: Ingress): number {
  return (
    compareText(left.metadata.creationTimestamp ?? "", right.metadata.creationTimestamp ?? "") ||
    compareText(left.metadata.namespace ?? "", right.metadata.namespace ?? "") ||
    compareText(left.metadata.name ?? "", right.metadata.name ?? "")
  );
}

/** Longest path first, Exact before Prefix, default backends last; otherwise age decides. */
function bySpecificity(left: HostedRule, right: HostedRule): number {
  if (left.isDefault !== right.isDefault) return left.isDefault ? 1 : -1;
  const byLength = right.rule.path.length - left.rule.path.length;
  if (byLength !== 0) return byLength;
  if (left.rule.type === right.rule.type) return 0;
  return left.rule.type === "exact" ? -1 : 1;
}

function compareText(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

/**
 * The rule for a request. `host` is lower case without port, `path` without query. An exact host is
 * looked at before a wildcard, that before rules for every host; a host whose paths do not match
 * leaves the request to the next.
 */
export function matchRule(rules: HostRules, host: string, path: string): PathRule | undefined {
  const matched = firstMatch(rules.exact.get(host), path);
  if (matched !== undefined) return matched;
  const dot = host.indexOf(".");
  const underWildcard = dot > 0 ? firstMatch(rules.wildcard.get(host.slice(dot)), path) : undefined;
  return underWildcard ?? firstMatch(rules.any, path);
}

function firstMatch(rules: readonly PathRule[] | undefined, path: string): PathRule | undefined {
  if (rules === undefined) return undefined;
  for (const rule of rules) {
    if (rule.type === "exact" ? rule.path === path : hasPathPrefix(path, rule.path)) return rule;
  }
  return undefined;
}

/** Whole path elements: `/foo` is a prefix of `/foo` and `/foo/bar`, not of `/foobar`. */
function hasPathPrefix(path: string, prefix: string): boolean {
  return path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === "/");
}
