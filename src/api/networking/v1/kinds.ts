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

const ingresses: KindLogic<Ingress> = { columns: ingressColumns };

const ingressClasses: KindLogic<IngressClass> = {
  defaults: ({ spec }) => {
    if (spec?.parameters !== undefined) spec.parameters.scope ??= "Cluster";
  },
  columns: ingressClassColumns,
};

const networkPolicies: KindLogic<NetworkPolicy> = {
  defaults: defaultNetworkPolicy,
  columns: networkPolicyColumns,
};

const serviceCidrs: KindLogic<ServiceCIDR> = { columns: serviceCidrColumns };

const ipAddresses: KindLogic<IPAddress> = {
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
