import { IP_NAME } from "../../name-rules.ts";
import { validateIngress } from "./ingress-validation.ts";
import {
  validateIngressClass,
  validateIngressClassUpdate,
  validateIpAddressObject,
  validateNetworkPolicy,
  validateServiceCidr,
} from "./networking-validation.ts";
import type { KindLogic, KindTable } from "../../kind-logic.ts";
import { defaultNetworkPolicy } from "./network-policy-defaults.ts";
import {
  ingressClassColumns,
  ingressColumns,
  ipAddressColumns,
  networkPolicyColumns,
  serviceCidrColumns,
} from "./networking-columns.ts";
import type { Ingress, IngressClass, IPAddress, NetworkPolicy, ServiceCIDR } from "./types.ts";

const ingresses: KindLogic<Ingress> = { validate: validateIngress, columns: ingressColumns };

const ingressClasses: KindLogic<IngressClass> = {
  defaults: ({ spec }) => {
    if (spec?.parameters !== undefined) spec.parameters.scope ??= "Cluster";
  },
  validate: validateIngressClass,
  validateUpdate: validateIngressClassUpdate,
  columns: ingressClassColumns,
};

const networkPolicies: KindLogic<NetworkPolicy> = {
  defaults: defaultNetworkPolicy,
  validate: validateNetworkPolicy,
  columns: networkPolicyColumns,
};

const serviceCidrs: KindLogic<ServiceCIDR> = {
  validate: validateServiceCidr,
  columns: serviceCidrColumns,
};

const ipAddresses: KindLogic<IPAddress> = {
  nameRule: IP_NAME,
  validate: validateIpAddressObject,
  columns: ipAddressColumns,
  selectableFields: ({ spec }) => ({
    "spec.parentRef.group": spec?.parentRef?.group ?? "",
    "spec.parentRef.resource": spec?.parentRef?.resource ?? "",
    "spec.parentRef.namespace": spec?.parentRef?.namespace ?? "",
    "spec.parentRef.name": spec?.parentRef?.name ?? "",
  }),
};

export const networkingKinds: KindTable = {
  ingressclasses: ingressClasses,
  ingresses,
  ipaddresses: ipAddresses,
  networkpolicies: networkPolicies,
  servicecidrs: serviceCidrs,
};
