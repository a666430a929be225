import type { KubeObject } from "../apimachinery/index.ts";

/** An object every cluster has, and what happens when it is there already. */
export interface BootstrapObject {
  readonly object: KubeObject;
  /**
   * keep, offer: as it is. replace: its content is made this one. recreate: deleted and made anew
   * when the field differs, because the field cannot change.
   */
  readonly existing:
    | { readonly rule: "keep" }
    /** As it is, and done without where it cannot be made: a user has its address. */
    | { readonly rule: "offer" }
    | { readonly rule: "replace" }
    | { readonly rule: "recreate"; readonly field: readonly string[] };
}

/** Where an API server is reached from nodes, an IPv4 address. */
export interface ServerEndpoint {
  readonly address: string;
  readonly port: number;
}

export interface BootstrapAddresses {
  readonly serviceCidr: string;
  readonly kubernetesServiceIp: string;
  /** At least one; the endpoints of the kubernetes Service. */
  readonly servers: readonly ServerEndpoint[];
}

const NAMESPACES = ["default", "kube-system", "kube-public", "kube-node-lease"];
const KUBERNETES = "kubernetes";
const HTTPS_PORT = 443;
const DNS_PORT = 53;

/** In the order in which they are made: namespaces come first. */
export function bootstrapObjects(addresses: BootstrapAddresses): readonly BootstrapObject[] {
  return [
    ...NAMESPACES.map((name) => keep({ kind: "Namespace", apiVersion: "v1", metadata: { name } })),
    ...priorityClasses().map(keep),
    ...runtimeClasses().map(keep),
    keep(ingressClass()),
    recreated(serviceCidr(addresses.serviceCidr), "spec", "cidrs"),
    recreated(kubernetesService(addresses), "spec", "clusterIP"),
    { object: dnsService(addresses), existing: { rule: "offer" } },
    { object: kubernetesEndpoints(addresses), existing: { rule: "replace" } },
    ...kubernetesEndpointSlices(addresses).map((object): BootstrapObject => ({
      object,
      existing: { rule: "replace" },
    })),
  ];
}

/** The labels of the slices above; others that have them are of servers that are gone. */
export const KUBERNETES_SLICE_LABELS: Readonly<Record<string, string>> = {
  "kubernetes.io/service-name": KUBERNETES,
  "endpointslice.kubernetes.io/managed-by": "apiserver.kubun.dev",
};

function keep(object: KubeObject): BootstrapObject {
  return { object, existing: { rule: "keep" } };
}

function recreated(object: KubeObject, ...field: string[]): BootstrapObject {
  return { object, existing: { rule: "recreate", field } };
}

function priorityClasses(): KubeObject[] {
  const classes: [string, number, string][] = [
    ["system-cluster-critical", 2_000_000_000, "For pods that the cluster cannot do without."],
    ["system-node-critical", 2_000_001_000, "For pods that their node cannot do without."],
  ];
  return classes.map(([name, value, description]) => ({
    kind: "PriorityClass",
    apiVersion: "scheduling.k8s.io/v1",
    metadata: { name },
    value,
    description,
  }));
}

/** The styles in which WASM modules run. */
function runtimeClasses(): KubeObject[] {
  return ["wasi", "wagi"].map((name) => ({
    kind: "RuntimeClass",
    apiVersion: "node.k8s.io/v1",
    metadata: { name },
    handler: name,
  }));
}

function ingressClass(): KubeObject {
  const annotations = { "ingressclass.kubernetes.io/is-default-class": "true" };
  return {
    kind: "IngressClass",
    apiVersion: "networking.k8s.io/v1",
    metadata: { name: "kubun", annotations },
    spec: { controller: "kubun.dev/ingress" },
  };
}

function serviceCidr(cidr: string): KubeObject {
  return {
    kind: "ServiceCIDR",
    apiVersion: "networking.k8s.io/v1",
    metadata: { name: KUBERNETES },
    spec: { cidrs: [cidr] },
  };
}

function kubernetesService(addresses: BootstrapAddresses): KubeObject {
  return {
    kind: "Service",
    apiVersion: "v1",
    metadata: {
      name: KUBERNETES,
      namespace: "default",
      labels: { component: "apiserver", provider: KUBERNETES },
    },
    spec: {
      type: "ClusterIP",
      clusterIP: addresses.kubernetesServiceIp,
      ports: [
        {
          name: "https",
          port: HTTPS_PORT,
          protocol: "TCP",
          targetPort: addresses.servers[0]?.port ?? HTTPS_PORT,
        },
      ],
    },
  };
}

/** The tenth address of the range, as is usual; the first is that of the kubernetes Service. */
export function dnsServiceIp(kubernetesServiceIp: string): string {
  const octets = kubernetesServiceIp.split(".").map(Number);
  return [...octets.slice(0, -1), (octets.at(-1) ?? 0) + 9].join(".");
}

/** Reserves the address at which each node's own DNS answers: it has no endpoints of pods. */
function dnsService({ kubernetesServiceIp }: BootstrapAddresses): KubeObject {
  const port = { port: DNS_PORT, targetPort: DNS_PORT };
  return {
    kind: "Service",
    apiVersion: "v1",
    metadata: {
      name: "kube-dns",
      namespace: "kube-system",
      labels: {
        "k8s-app": "kube-dns",
        "kubernetes.io/cluster-service": "true",
        "kubernetes.io/name": "CoreDNS",
      },
    },
    spec: {
      type: "ClusterIP",
      clusterIP: dnsServiceIp(kubernetesServiceIp),
      ports: [
        { name: "dns", protocol: "UDP", ...port },
        { name: "dns-tcp", protocol: "TCP", ...port },
      ],
    },
  };
}

function kubernetesEndpoints({ servers }: BootstrapAddresses): KubeObject {
  const labels = { "endpointslice.kubernetes.io/skip-mirror": "true" };
  return {
    kind: "Endpoints",
    apiVersion: "v1",
    metadata: { name: KUBERNETES, namespace: "default", labels },
    subsets: [...byPort(servers)].map(([port, addresses]) => ({
      addresses: addresses.map((ip) => ({ ip })),
      ports: [{ name: "https", port, protocol: "TCP" }],
    })),
  };
}

/** A slice for each port that servers have: its ports are those of all endpoints in a slice. */
function kubernetesEndpointSlices({ servers }: BootstrapAddresses): KubeObject[] {
  return [...byPort(servers)].map(([port, addresses], index) => ({
    kind: "EndpointSlice",
    apiVersion: "discovery.k8s.io/v1",
    metadata: {
      name: index === 0 ? KUBERNETES : `${KUBERNETES}-${port}`,
      namespace: "default",
      labels: { ...KUBERNETES_SLICE_LABELS },
    },
    addressType: "IPv4",
    endpoints: addresses.map((address) => ({
      addresses: [address],
      conditions: { ready: true },
    })),
    ports: [{ name: "https", port, protocol: "TCP" }],
  }));
}

function byPort(servers: readonly ServerEndpoint[]): ReadonlyMap<number, string[]> {
  const ports = new Map<number, string[]>();
  for (const { address, port } of servers) ports.set(port, [...(ports.get(port) ?? []), address]);
  return ports;
}
