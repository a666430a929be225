import { beforeAll, describe, expect, test } from "bun:test";
import { firstAuthenticator, tokenAuthenticator } from "./authenticator.ts";
import { credentialSecret, nodeAuthenticator, nodeToken } from "./joining/node-credentials.ts";
import { ADMIN_TOKEN, type ApiFixture, apiFixture, type Reply } from "./testing/api-fixture.ts";

const V1 = "/api/v1";
const DEFAULT = `${V1}/namespaces/default`;
const SYSTEM = `${V1}/namespaces/kube-system`;
const LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
const INGRESSES = "/apis/networking.k8s.io/v1/namespaces/default/ingresses";
const FIRST_SECRET = "0123456789abcdef".repeat(4);
const STRATEGIC = { "content-type": "application/strategic-merge-patch+json" };

type Ask = (method: string, path: string, body?: unknown, headers?: HeadersInit) => Promise<Reply>;

interface Nodes extends ApiFixture {
  readonly pi: Ask;
  readonly mac: Ask;
}

/** A cluster of the nodes pi and mac, each with a pod that uses a Secret of its own. */
async function twoNodes(): Promise<Nodes> {
  const users = new Map([[ADMIN_TOKEN, { name: "admin", groups: ["system:masters"] }]]);
  const tables = tokenAuthenticator(users);
  let nodes: ReturnType<typeof nodeAuthenticator> = { authenticate: () => undefined };
  const late = { authenticate: (request: Request) => nodes.authenticate(request) };
  const api = await apiFixture({ authenticator: firstAuthenticator(tables, late) });
  nodes = nodeAuthenticator(api.registry.present);
  const asNode = async (name: string): Promise<Ask> => {
    const token = nodeToken(name, FIRST_SECRET);
    await api.send("POST", `${SYSTEM}/secrets`, credentialSecret(name, token));
    return (method, path, body, headers) => {
      const all = new Headers(headers);
      if (!all.has("authorization")) all.set("authorization", `Bearer ${token}`);
      return api.send(method, path, body, all);
    };
  };
  const { send } = api;
  for (const name of ["pi", "mac"]) {
    await send("POST", `${V1}/nodes`, { metadata: { name } });
    await send("POST", LEASES, { metadata: { name }, spec: { holderIdentity: name } });
    for (const kind of ["secret", "configmap"]) {
      await send("POST", `${DEFAULT}/${kind}s`, { metadata: { name: `${name}-${kind}` } });
    }
    const container = {
      name: "app",
      image: "app:1",
      envFrom: [{ configMapRef: { name: `${name}-configmap` } }],
    };
    const volumes = [
      { name: "secret", secret: { secretName: `${name}-secret` } },
      { name: "data", persistentVolumeClaim: { claimName: `${name}-claim` } },
    ];
    const created = await send("POST", `${DEFAULT}/pods`, {
      metadata: { name: `on-${name}` },
      spec: { nodeName: name, containers: [container], volumes },
    });
    expect(created.status).toBe(201);
  }
  await send("POST", `${DEFAULT}/secrets`, { metadata: { name: "nobodys" } });
  await send("POST", `${DEFAULT}/secrets`, { metadata: { name: "shown" } });
  const ingress = await send("POST", INGRESSES, {
    metadata: { name: "web" },
    spec: {
      defaultBackend: { service: { name: "web", port: { number: 80 } } },
      tls: [{ hosts: ["web.example"], secretName: "shown" }],
    },
  });
  expect(ingress.status).toBe(201);
  return { ...api, pi: await asNode("pi"), mac: await asNode("mac") };
}

describe("one node's key", () => {
  const given: { nodes?: Nodes } = {};
  const ask: Ask = (...request) => {
    if (given.nodes === undefined) throw new Error("not begun");
    return given.nodes.pi(...request);
  };

  beforeAll(async () => {
    given.nodes = await twoNodes();
  });

  const renewal = { spec: { holderIdentity: "pi", renewTime: "2026-01-01T00:00:00.000000Z" } };
  const phase = { status: { phase: "Running" } };
  const ready = { status: { conditions: [{ type: "Ready", status: "True" }] } };
  const podsOf = (node: string) => `${V1}/pods?fieldSelector=spec.nodeName%3D${node}`;
  const named = (kind: string, name: string) =>
    `${DEFAULT}/${kind}?fieldSelector=metadata.name%3D${name}`;

  const own: [string, string, unknown?][] = [
    ["GET", `${DEFAULT}/secrets/pi-secret`],
    ["GET", named("secrets", "pi-secret")],
    // Every proxy shows the certificates that Ingresses name.
    ["GET", named("secrets", "shown")],
    ["GET", `${DEFAULT}/configmaps/pi-configmap`],
    ["GET", named("configmaps", "pi-configmap")],
    ["GET", podsOf("pi")],
    ["GET", `${DEFAULT}/pods/on-pi`],
    ["PATCH", `${DEFAULT}/pods/on-pi/status`, phase],
    ["GET", `${V1}/nodes/pi`],
    ["PATCH", `${V1}/nodes/pi/status`, ready],
    ["PATCH", `${V1}/nodes/pi`, { metadata: { labels: { "kubernetes.io/os": "linux", x: "y" } } }],
    ["GET", `${LEASES}/pi`],
    ["PATCH", `${LEASES}/pi`, renewal],
    // The proxy of a node serves the Services of all.
    ["GET", `${V1}/nodes`],
    ["GET", `${V1}/services`],
    ["GET", "/apis/discovery.k8s.io/v1/endpointslices"],
    ["GET", "/apis/networking.k8s.io/v1/ingresses"],
    ["GET", "/apis/node.k8s.io/v1/runtimeclasses"],
    ["GET", "/api"],
  ];

  test.each(own)("opens what is the node's own: %s %s", async (method, path, body) => {
    const answer = await ask(method, path, body, body === undefined ? {} : STRATEGIC);
    expect([answer.status, answer.json["message"]]).toEqual([200, undefined]);
  });

  const foreign: [string, string, unknown?][] = [
    ["GET", `${DEFAULT}/secrets/mac-secret`],
    ["GET", named("secrets", "mac-secret")],
    ["GET", `${named("secrets", "mac-secret")}&watch=true`],
    ["GET", `${DEFAULT}/secrets/nobodys`],
    ["GET", `${DEFAULT}/secrets`],
    ["GET", `${V1}/secrets`],
    ["GET", `${V1}/secrets?watch=true`],
    ["GET", `${V1}/secrets?fieldSelector=metadata.name%3Dpi-secret`],
    ["GET", `${DEFAULT}/secrets?fieldSelector=metadata.name!%3Dpi-secret`],
    ["GET", `${DEFAULT}/secrets?labelSelector=a`],
    ["DELETE", `${DEFAULT}/secrets/pi-secret`],
    ["PUT", `${DEFAULT}/secrets/pi-secret`, { metadata: { name: "pi-secret" } }],
    ["GET", `${DEFAULT}/configmaps/mac-configmap`],
    ["GET", `${V1}/configmaps`],
    ["PATCH", `${DEFAULT}/configmaps/pi-configmap`, { data: { a: "b" } }],
    ["GET", `${SYSTEM}/secrets/node-credential-mac`],
    ["GET", `${SYSTEM}/secrets/node-credential-pi`],
    ["POST", `${SYSTEM}/secrets`, { metadata: { name: "node-credential-x" } }],
    ["PATCH", `${SYSTEM}/secrets/node-credential-pi`, { data: {} }],
    ["DELETE", `${SYSTEM}/secrets/node-credential-mac`],
    ["GET", `${DEFAULT}/persistentvolumeclaims/mac-claim`],
    ["GET", `${DEFAULT}/persistentvolumeclaims`],
    ["GET", `${V1}/persistentvolumes`],
    ["GET", `${V1}/pods`],
    ["GET", podsOf("mac")],
    ["GET", `${DEFAULT}/pods/on-mac`],
    ["GET", `${DEFAULT}/pods/on-pi/log`],
    ["GET", `${DEFAULT}/pods/on-mac/log`],
    ["POST", `${DEFAULT}/pods/on-pi/exec`],
    ["POST", `${DEFAULT}/pods/on-mac/exec`],
    ["PATCH", `${DEFAULT}/pods/on-mac/status`, phase],
    ["PATCH", `${DEFAULT}/pods/on-pi/status`, { metadata: { labels: { app: "other" } } }],
    [
      "PATCH",
      `${DEFAULT}/pods/on-pi/status`,
      { metadata: { annotations: { "kubun.dev/keyvalue-stores": "s" } } },
    ],
    ["PATCH", `${DEFAULT}/pods/on-pi`, { metadata: { labels: { app: "other" } } }],
    ["DELETE", `${DEFAULT}/pods/on-mac`],
    ["DELETE", `${DEFAULT}/pods`],
    ["POST", `${DEFAULT}/pods/on-mac/eviction`, { metadata: { name: "on-mac" } }],
    ["POST", `${DEFAULT}/pods/on-pi/binding`, { target: { name: "pi" } }],
    [
      "POST",
      `${DEFAULT}/pods`,
      { metadata: { name: "x" }, spec: { containers: [{ name: "a", image: "b" }] } },
    ],
    ["GET", `${LEASES}/mac`],
    ["GET", LEASES],
    ["PATCH", `${LEASES}/mac`, renewal],
    ["DELETE", `${LEASES}/mac`],
    ["POST", LEASES, { metadata: { name: "other" }, spec: { holderIdentity: "pi" } }],
    [
      "POST",
      "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases",
      { metadata: { name: "pi" } },
    ],
    ["PATCH", `${V1}/nodes/mac/status`, ready],
    [
      "PATCH",
      `${V1}/nodes/mac`,
      { metadata: { annotations: { "kubun.dev/peer-address": "x:1" } } },
    ],
    ["DELETE", `${V1}/nodes/mac`],
    ["DELETE", `${V1}/nodes/pi`],
    ["POST", `${V1}/nodes`, { metadata: { name: "new" } }],
    ["PATCH", `${V1}/nodes/pi`, { spec: { taints: [{ key: "a", effect: "NoSchedule" }] } }],
    ["PATCH", `${V1}/nodes/pi`, { spec: { podCIDRs: ["10.0.0.0/8"], podCIDR: "10.0.0.0/8" } }],
    ["PATCH", `${V1}/nodes/pi`, { spec: { podCIDR: "10.0.0.0/8" } }],
    ["PATCH", `${V1}/nodes/pi`, label("node-restriction.kubernetes.io/secure")],
    ["PATCH", `${V1}/nodes/pi/status`, label("x.node-restriction.kubernetes.io/secure")],
    ["PATCH", `${V1}/nodes/pi`, label("node-role.kubernetes.io/control-plane")],
    ["POST", `${DEFAULT}/serviceaccounts/other/token`, {}],
    ["GET", `${DEFAULT}/serviceaccounts`],
    ["GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles"],
    [
      "POST",
      "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
      { metadata: { name: "me" } },
    ],
    ["PATCH", `${DEFAULT}/services/kubernetes`, {}],
    ["POST", `${DEFAULT}/services`, { metadata: { name: "x" } }],
    ["GET", "/apis/apps/v1/deployments"],
    ["GET", "/metrics"],
  ];

  test.each(foreign)("opens nothing else: %s %s", async (method, path, body) => {
    const patch = method === "PATCH" ? STRATEGIC : {};
    const answer = await ask(method, path, body, patch);
    expect([answer.status, answer.json["reason"]]).toEqual([403, "Forbidden"]);
  });

  test("does not say where an Ingress is reached", async () => {
    const path = "/apis/networking.k8s.io/v1/namespaces/default/ingresses/any/status";
    const patch = { status: { loadBalancer: { ingress: [{ ip: "192.0.2.66" }] } } };
    expect((await ask("PATCH", path, patch, STRATEGIC)).status).toBe(403);
  });

  test("says why in Kubernetes' words", async () => {
    const message = async (...request: Parameters<Ask>) =>
      String((await ask(...request)).json["message"]);
    expect(await message("GET", `${DEFAULT}/secrets/mac-secret`)).toBe(
      'secrets "mac-secret" is forbidden: User "system:node:pi" cannot get resource "secrets" ' +
        'in API group "" in the namespace "default": ' +
        "no relationship found between node 'pi' and this object",
    );
    const restricted = label("node-restriction.kubernetes.io/secure");
    expect(await message("PATCH", `${V1}/nodes/pi`, restricted, STRATEGIC)).toBe(
      'nodes "pi" is forbidden: is not allowed to modify labels: ' +
        "node-restriction.kubernetes.io/secure",
    );
  });
});

function label(name: string) {
  return { metadata: { labels: { [name]: "yes" } } };
}

test("nodeAuthorizer: what a pod needs is open while it is bound to the node", async () => {
  const { pi, mac, send } = await twoNodes();
  const path = `${DEFAULT}/secrets/nobodys`;
  expect((await pi("GET", path)).status).toBe(403);
  const volumes = [{ name: "s", projected: { sources: [{ secret: { name: "nobodys" } }] } }];
  const spec = { containers: [{ name: "app", image: "app:1" }], volumes };
  await send("POST", `${DEFAULT}/pods`, { metadata: { name: "late" }, spec });
  expect((await pi("GET", path)).status).toBe(403);
  const target = { kind: "Node", name: "pi" };
  await send("POST", `${DEFAULT}/pods/late/binding`, { metadata: { name: "late" }, target });
  expect((await pi("GET", path)).status).toBe(200);
  expect((await mac("GET", path)).status).toBe(403);
  expect((await pi("DELETE", `${DEFAULT}/pods/late?gracePeriodSeconds=0`)).status).toBe(200);
  expect((await pi("GET", path)).status).toBe(403);
});

const MIRROR = { "kubernetes.io/config.mirror": "hash" };

test("restrictNode: a node shows its own pods as mirrors, and nothing else", async () => {
  const { pi, mac } = await twoNodes();
  const mirror = (changes: object = {}, spec: object = {}) => ({
    metadata: {
      name: "mirror-pi",
      annotations: MIRROR,
      ownerReferences: [{ apiVersion: "v1", kind: "Node", name: "pi", uid: "u", controller: true }],
      ...changes,
    },
    spec: {
      nodeName: "pi",
      serviceAccountName: "",
      containers: [{ name: "app", image: "app:1" }],
      ...spec,
    },
  });
  const refusals: [object, string][] = [
    [mirror({ annotations: {} }), "can only create mirror pods"],
    [mirror({ ownerReferences: [] }), "one owner reference"],
    [mirror({}, { nodeName: "mac" }), "with spec.nodeName set to itself"],
    [
      mirror({ annotations: { ...MIRROR, "kubun.dev/keyvalue-stores": "s" } }),
      "reference key-value stores",
    ],
    [mirror({}, { serviceAccountName: "admin" }), "reference a service account"],
    [mirror({}, { volumes: [{ name: "s", secret: { secretName: "s" } }] }), "reference secrets"],
  ];
  for (const [body, why] of refusals) {
    const answer = await pi("POST", `${DEFAULT}/pods`, body);
    expect([answer.status, String(answer.json["message"])]).toEqual([
      403,
      expect.stringContaining(why),
    ]);
  }
  expect((await pi("POST", `${DEFAULT}/pods`, mirror())).status).toBe(201);
  expect((await mac("DELETE", `${DEFAULT}/pods/mirror-pi`)).status).toBe(403);
  const eviction = { metadata: { name: "on-pi" } };
  expect((await pi("POST", `${DEFAULT}/pods/on-pi/eviction`, eviction)).status).toBe(201);
});

test("nodeAuthenticator: a key ends with its Secret, and with the next key", async () => {
  const { pi, send } = await twoNodes();
  const path = `${V1}/nodes/pi`;
  expect((await pi("GET", path)).status).toBe(200);
  const token = nodeToken("pi", FIRST_SECRET.replaceAll("0", "f"));
  const stored = `${SYSTEM}/secrets/node-credential-pi`;
  expect((await send("PUT", stored, credentialSecret("pi", token))).status).toBe(200);
  expect((await pi("GET", path)).status).toBe(401);
  const withToken = (text: string) =>
    send("GET", path, undefined, { authorization: `Bearer ${text}` });
  expect((await withToken(token)).status).toBe(200);
  expect((await withToken(`${token.slice(0, -1)}g`)).status).toBe(401);
  expect((await withToken(token.replace("pi", "mac"))).status).toBe(401);
  expect((await withToken(token.replace(".pi.", "."))).status).toBe(401);
  expect((await send("GET", stored)).text).not.toContain(token.slice(-64));
  expect((await send("DELETE", stored)).status).toBe(200);
  expect((await withToken(token)).status).toBe(401);
});
