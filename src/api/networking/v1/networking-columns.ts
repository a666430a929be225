import { orNone, selectorText } from "../../cell-text.ts";
import { balancerAddresses } from "../../core/v1/service-columns.ts";
import type { TableColumn } from "../../kind-logic.ts";
import { AGE_COLUMN, column, NAME_COLUMN, NONE } from "../../table-columns.ts";
import type {
  Ingress,
  IngressClass,
  IngressRule,
  IPAddress,
  NetworkPolicy,
  ServiceCIDR,
} from "./types.ts";

const MAX_HOSTS = 3;

export const ingressColumns: readonly TableColumn<Ingress>[] = [
  NAME_COLUMN,
  column("Class", "Class that says who serves it.", ({ spec }) => orNone(spec?.ingressClassName)),
  column("Hosts", "Hosts it answers for.", ({ spec }) => hostsText(spec?.rules ?? [])),
  column("Address", "Where it can be reached.", ({ status }) =>
    balancerAddresses(status?.loadBalancer?.ingress).join(","),
  ),
  column("Ports", "Ports it answers on.", ({ spec }) =>
    (spec?.tls?.length ?? 0) > 0 ? "80, 443" : "80",
  ),
  AGE_COLUMN,
];

export const ingressClassColumns: readonly TableColumn<IngressClass>[] = [
  NAME_COLUMN,
  column("Controller", "Who serves this class.", ({ spec }) => spec?.controller ?? ""),
  column("Parameters", "Object with more settings.", parametersText),
  AGE_COLUMN,
];

export const networkPolicyColumns: readonly TableColumn<NetworkPolicy>[] = [
  NAME_COLUMN,
  column("Pod-Selector", "Labels of the pods it is about.", ({ spec }) =>
    selectorText(spec?.podSelector),
  ),
  AGE_COLUMN,
];

export const serviceCidrColumns: readonly TableColumn<ServiceCIDR>[] = [
  NAME_COLUMN,
  column("CIDRs", "Ranges that Services get addresses of.", ({ spec }) =>
    (spec?.cidrs ?? []).join(","),
  ),
  AGE_COLUMN,
];

export const ipAddressColumns: readonly TableColumn<IPAddress>[] = [
  NAME_COLUMN,
  column("ParentRef", "What the address was given to.", parentText),
];

function hostsText(rules: readonly IngressRule[]): string {
  const hosts = rules.slice(0, MAX_HOSTS).flatMap(({ host }) => (host ? [host] : []));
  if (hosts.length === 0) return "*";
  const rest = rules.length - MAX_HOSTS;
  return rest > 0 ? `${hosts.join(",")} + ${rest} more...` : hosts.join(",");
}

function parametersText({ spec }: IngressClass): string {
  const parameters = spec?.parameters;
  if (parameters === undefined) return NONE;
  const group = parameters.apiGroup === undefined ? "" : `.${parameters.apiGroup}`;
  return `${parameters.kind}${group}/${parameters.name}`;
}

function parentText({ spec }: IPAddress): string {
  const parent = spec?.parentRef;
  if (parent === undefined) return NONE;
  const resource = parent.group ? `${parent.resource}.${parent.group}` : parent.resource;
  return [resource, ...(parent.namespace ? [parent.namespace] : []), parent.name].join("/");
}
