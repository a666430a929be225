import { beforeAll, describe, expect, test } from "bun:test";
import type { ClusterRole } from "../../api/index.ts";
import { type ApiFixture, apiFixture, MAPS, PODS } from "../testing/api-fixture.ts";
import { bootstrapPolicy } from "./bootstrap-policy.ts";
import { defaultPolicy } from "./default-policy.ts";

const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const ROLES = `${RBAC}/namespaces/default/roles`;
const BINDINGS = `${RBAC}/namespaces/default/rolebindings`;
const API_GROUP = "rbac.authorization.k8s.io";
const MERGE = { "content-type": "application/merge-patch+json" };

const as = (user: string, group = "") => ({
  "impersonate-user": user,
  ...(group === "" ? {} : { "impersonate-group": group }),
});
const reads = (resources: string[], verbs = ["get", "list"]) => [
  { apiGroups: [""], resources, verbs },
];
const refTo = (kind: string, name: string) => ({ apiGroup: API_GROUP, kind, name });
const bind = (name: string, roleRef: object, ...subjects: object[]) => ({
  metadata: { name },
  roleRef,
  subjects,
});
const BOB = { kind: "User", name: "bob" };

describe("default roles", () => {
  const given: { api?: ApiFixture } = {};

  beforeAll(async () => {
    given.api = await apiFixture();
    const { send } = given.api;
    for (const role of ["admin", "edit", "view", "cluster-admin"]) {
      const subject = { kind: "User", name: role };
      const ref = refTo("ClusterRole", role);
      await send("POST", BINDINGS, bind(role, ref, subject));
    }
  });

  /** Verb, resource (group/resource/subresource or a path), namespace. */
  type Question = readonly [user: string, verb: string, what: string, namespace: string];
  const yes: Question[] = [
    ["view", "list", "pods", "default"],
    ["view", "get", "pods/log", "default"],
    ["view", "watch", "deployments.apps", "default"],
    ["edit", "create", "pods", "default"],
    ["edit", "get", "secrets", "default"],
    ["edit", "create", "pods/exec", "default"],
    ["edit", "update", "deployments.apps/scale", "default"],
    ["edit", "create", "pods/eviction", "default"],
    ["edit", "list", "ingresses.networking.k8s.io", "default"],
    ["admin", "create", "rolebindings.rbac.authorization.k8s.io", "default"],
    ["admin", "delete", "pods", "default"],
    ["admin", "create", "localsubjectaccessreviews.authorization.k8s.io", "default"],
    ["cluster-admin", "escalate", "roles.rbac.authorization.k8s.io", "default"],
    ["view", "create", "selfsubjectaccessreviews.authorization.k8s.io", ""],
    ["view", "create", "selfsubjectreviews.authentication.k8s.io", ""],
    ["view", "get", "/apis/apps/v1", ""],
    ["view", "get", "/openapi/v3", ""],
    ["system:kube-scheduler", "create", "pods/binding", "x"],
    ["system:kube-scheduler", "patch", "pods/status", "x"],
    ["system:kube-scheduler", "list", "nodes", ""],
    ["system:kube-scheduler", "list", "persistentvolumeclaims", ""],
    ["system:kube-controller-manager", "list", "secrets", ""],
    ["system:kube-controller-manager", "create", "pods", "x"],
    ["system:kube-controller-manager", "deletecollection", "configmaps", "x"],
    ["system:kube-controller-manager", "patch", "nodes", ""],
    ["system:kube-controller-manager", "update", "namespaces/finalize", ""],
    ["system:kube-controller-manager", "create", "endpointslices.discovery.k8s.io", "x"],
    ["system:kube-controller-manager", "get", "/apis/apps/v1", ""],
    ["system:kube-proxy", "watch", "endpointslices.discovery.k8s.io", ""],
    ["system:kube-proxy", "patch", "ingresses.networking.k8s.io/status", "x"],
    ["system:serviceaccount:kube-system:job-controller", "create", "pods", "x"],
  ];
  const no: Question[] = [
    ["view", "get", "secrets", "default"],
    ["view", "create", "pods", "default"],
    ["view", "get", "roles.rbac.authorization.k8s.io", "default"],
    ["view", "list", "pods", "other"],
    ["view", "list", "pods", ""],
    ["view", "list", "nodes", ""],
    ["edit", "create", "roles.rbac.authorization.k8s.io", "default"],
    ["edit", "update", "resourcequotas", "default"],
    ["edit", "patch", "pods/status", "default"],
    ["admin", "update", "resourcequotas", "default"],
    ["admin", "create", "limitranges", "default"],
    ["admin", "delete", "nodes", ""],
    ["admin", "escalate", "roles.rbac.authorization.k8s.io", "default"],
    ["cluster-admin", "list", "pods", ""],
    ["nobody", "list", "pods", "default"],
    ["nobody", "get", "/metrics", ""],
    ["system:kube-scheduler", "get", "secrets", "x"],
    ["system:kube-scheduler", "create", "pods", "x"],
    ["system:kube-proxy", "get", "secrets", "x"],
    ["system:kube-proxy", "update", "services", "x"],
    ["system:serviceaccount:kube-system:job-controller", "get", "secrets", "x"],
    ["system:serviceaccount:other:job-controller", "create", "pods", "x"],
  ];

  const allowed = async ([user, verb, what, namespace]: Question): Promise<unknown> => {
    const attributes = what.startsWith("/")
      ? { nonResourceAttributes: { path: what, verb } }
      : { resourceAttributes: resourceOf(what, verb, namespace) };
    const spec = { user, groups: ["system:authenticated"], ...attributes };
    const path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    const answer = await given.api?.send("POST", path, { spec });
    return (answer?.json["status"] as { allowed: boolean } | undefined)?.allowed;
  };

  test.each(yes)("%s may %s %s in %p", async (user, verb, what, namespace) => {
    expect(await allowed([user, verb, what, namespace])).toBe(true);
  });

  test.each(no)("%s may not %s %s in %p", async (user, verb, what, namespace) => {
    expect(await allowed([user, verb, what, namespace])).toBe(false);
  });
});

function resourceOf(what: string, verb: string, namespace: string) {
  const [full = "", subresource = ""] = what.split("/");
  const [resource = "", ...group] = full.split(".");
  return { verb, namespace, resource, subresource, group: group.join(".") };
}

test("rbacAuthorizer: a binding opens, and its end closes", async () => {
  const { send } = await apiFixture();
  const list = async (path = PODS) => (await send("GET", path, undefined, as("bob"))).status;
  expect(await list()).toBe(403);
  await send("POST", ROLES, { metadata: { name: "reader" }, rules: reads(["pods"]) });
  await send("POST", BINDINGS, bind("bob", refTo("Role", "reader"), BOB));
  expect([await list(), await list("/api/v1/pods"), await list(MAPS)]).toEqual([200, 403, 403]);
  await send("PATCH", `${ROLES}/reader`, { rules: reads(["configmaps"]) }, MERGE);
  expect([await list(), await list(MAPS)]).toEqual([403, 200]);
  await send("DELETE", `${ROLES}/reader`);
  const refused = await send("GET", MAPS, undefined, as("bob"));
  expect(String(refused.json["message"])).toEndWith(
    'in the namespace "default": RBAC: role.rbac.authorization.k8s.io "reader" not found',
  );
  await send("DELETE", `${BINDINGS}/bob`);
  expect(await list(MAPS)).toBe(403);
});

test("rbacAuthorizer: knows groups, and accounts of a namespace", async () => {
  const { send } = await apiFixture();
  await send("POST", ROLES, { metadata: { name: "reader" }, rules: reads(["pods"]) });
  const web = { kind: "ServiceAccount", name: "web", namespace: "apps" };
  const group = { kind: "Group", name: "devs" };
  await send("POST", BINDINGS, bind("both", refTo("Role", "reader"), web, group));
  const list = async (...who: Parameters<typeof as>) =>
    (await send("GET", PODS, undefined, as(...who))).status;
  expect(await list("system:serviceaccount:apps:web")).toBe(200);
  expect(await list("system:serviceaccount:default:web")).toBe(403);
  expect([await list("eva", "devs"), await list("devs")]).toEqual([200, 403]);
});

test("rbacAuthorizer: rules about names hold for reads of one object alone", async () => {
  const { send } = await apiFixture();
  const rules = [{ ...reads(["configmaps"], ["get", "list", "watch"])[0], resourceNames: ["a"] }];
  await send("POST", ROLES, { metadata: { name: "one" }, rules });
  await send("POST", BINDINGS, bind("bob", refTo("Role", "one"), BOB));
  await send("POST", MAPS, { metadata: { name: "a" } });
  const get = async (path: string) => (await send("GET", path, undefined, as("bob"))).status;
  expect(await get(`${MAPS}/a`)).toBe(200);
  expect(await get(`${MAPS}/b`)).toBe(403);
  expect(await get(MAPS)).toBe(403);
  expect(await get(`${MAPS}?fieldSelector=metadata.name%3Da`)).toBe(200);
  expect(await get(`${MAPS}?fieldSelector=metadata.name%3D%3Da`)).toBe(200);
  expect(await get(`${MAPS}?fieldSelector=metadata.name!%3Da`)).toBe(403);
});

test("refuseEscalation: nobody gives what he does not have", async () => {
  const { send } = await apiFixture();
  await send("POST", BINDINGS, bind("bob", refTo("ClusterRole", "admin"), BOB));
  const bob = as("bob", "devs");
  const role = (name: string, rules: unknown) => ({ metadata: { name }, rules });
  const post = (path: string, body: unknown) => send("POST", path, body, bob);
  expect((await post(ROLES, role("fine", reads(["pods"])))).status).toBe(201);
  const more = await post(ROLES, role("more", reads(["pods", "nodes"], ["get", "delete"])));
  expect([more.status, more.json["message"]]).toEqual([
    403,
    'roles.rbac.authorization.k8s.io "more" is forbidden: user "bob" ' +
      '(groups=["devs" "system:authenticated"]) is attempting to grant RBAC permissions ' +
      'not currently held:\n{APIGroups:[""], Resources:["nodes"], Verbs:["get" "delete"]}',
  ]);
  const widened = { rules: reads(["nodes"]) };
  expect((await send("PATCH", `${ROLES}/fine`, widened, { ...bob, ...MERGE })).status).toBe(403);
  const put = role("fine", reads(["nodes"]));
  expect((await send("PUT", `${ROLES}/fine`, put, bob)).status).toBe(403);
  expect((await send("PUT", `${ROLES}/new`, role("new", reads(["nodes"])), bob)).status).toBe(403);
  const binding = bind("up", refTo("ClusterRole", "cluster-admin"), BOB);
  expect((await post(BINDINGS, binding)).status).toBe(403);
  expect((await post(BINDINGS, bind("ok", refTo("ClusterRole", "view"), BOB))).status).toBe(201);
  const missing = await post(BINDINGS, bind("gone", refTo("Role", "gone"), BOB));
  expect([missing.status, missing.json["reason"]]).toEqual([404, "NotFound"]);
  const annotated = { metadata: { annotations: { a: "b" } } };
  expect((await send("PATCH", `${ROLES}/fine`, annotated, { ...bob, ...MERGE })).status).toBe(200);
});

test("refuseEscalation: who may escalate or bind a role by name can, for that one", async () => {
  const { send } = await apiFixture();
  const rules = [
    { apiGroups: [API_GROUP], resources: ["roles", "rolebindings"], verbs: ["create", "update"] },
    { apiGroups: [API_GROUP], resources: ["roles"], verbs: ["escalate"], resourceNames: ["big"] },
    {
      apiGroups: [API_GROUP],
      resources: ["clusterroles"],
      verbs: ["bind"],
      resourceNames: ["edit"],
    },
  ];
  await send("POST", ROLES, { metadata: { name: "granter" }, rules });
  await send("POST", BINDINGS, bind("bob", refTo("Role", "granter"), BOB));
  const post = async (path: string, body: unknown) =>
    (await send("POST", path, body, as("bob"))).status;
  expect(await post(ROLES, { metadata: { name: "big" }, rules: reads(["secrets"]) })).toBe(201);
  expect(await post(ROLES, { metadata: { name: "bigger" }, rules: reads(["secrets"]) })).toBe(403);
  expect(await post(BINDINGS, bind("e", refTo("ClusterRole", "edit"), BOB))).toBe(201);
  expect(await post(BINDINGS, bind("a", refTo("ClusterRole", "admin"), BOB))).toBe(403);
});

test("refuseEscalation: sums of roles are for those who have everything", async () => {
  const { send } = await apiFixture();
  const rules = [{ apiGroups: [API_GROUP], resources: ["clusterroles"], verbs: ["*"] }];
  await send("POST", `${RBAC}/clusterroles`, { metadata: { name: "granter" }, rules });
  const ref = refTo("ClusterRole", "granter");
  await send("POST", `${RBAC}/clusterrolebindings`, bind("bob", ref, BOB));
  const sum = {
    metadata: { name: "sum" },
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { a: "b" } }] },
  };
  // The verb * includes escalate.
  expect((await send("POST", `${RBAC}/clusterroles`, sum, as("bob"))).status).toBe(201);
  const narrower = [{ ...rules[0], verbs: ["create"] }];
  await send("PATCH", `${RBAC}/clusterroles/granter`, { rules: narrower }, MERGE);
  const refused = await send(
    "POST",
    `${RBAC}/clusterroles`,
    { ...sum, metadata: { name: "other" } },
    as("bob"),
  );
  expect([refused.status, String(refused.json["message"])]).toEqual([
    403,
    expect.stringContaining("must have cluster-admin privileges to use aggregationRule"),
  ]);
});

test("aggregatedRules: a role made of others follows them at once", async () => {
  const { send, registry } = await apiFixture();
  await send("POST", BINDINGS, bind("bob", refTo("ClusterRole", "view"), BOB));
  const secrets = PODS.replace("pods", "secrets");
  const list = async () => (await send("GET", secrets, undefined, as("bob"))).status;
  expect(await list()).toBe(403);
  const labels = { "rbac.authorization.k8s.io/aggregate-to-view": "true" };
  const part = { metadata: { name: "more", labels }, rules: reads(["secrets"]) };
  await send("POST", `${RBAC}/clusterroles`, part);
  expect(await list()).toBe(200);
  await bootstrapPolicy(registry);
  const rulesOf = async (name: string) =>
    ((await send("GET", `${RBAC}/clusterroles/${name}`)).json as unknown as ClusterRole).rules ??
    [];
  expect(await rulesOf("view")).toContainEqual(reads(["secrets"])[0] as never);
  // admin is made of edit, which is made of view.
  expect(await rulesOf("admin")).toContainEqual(reads(["secrets"])[0] as never);
});

test("bootstrapPolicy: gives back what is missing, keeps what was added", async () => {
  const { send, registry, store } = await apiFixture();
  const before = store.writes;
  await bootstrapPolicy(registry);
  expect(store.writes).toBe(before);
  const roles = `${RBAC}/clusterroles`;
  const bindings = `${RBAC}/clusterrolebindings`;
  await send("DELETE", `${roles}/system:basic-user`);
  const added = { rules: reads(["pods"]) };
  await send("PATCH", `${roles}/system:discovery`, added, MERGE);
  const subjects = [{ kind: "User", name: "eva", apiGroup: API_GROUP }];
  await send("PATCH", `${bindings}/system:discovery`, { subjects }, MERGE);
  const off = {
    metadata: { annotations: { "rbac.authorization.kubernetes.io/autoupdate": "false" } },
  };
  await send("PATCH", `${bindings}/system:public-info-viewer`, { ...off, subjects: [] }, MERGE);
  await send("DELETE", `${bindings}/system:monitoring`);
  const wrong = bind("system:monitoring", refTo("ClusterRole", "view"), BOB);
  await send("POST", bindings, wrong);
  await bootstrapPolicy(registry);
  expect((await send("GET", `${roles}/system:basic-user`)).status).toBe(200);
  const discovery = (await send("GET", `${roles}/system:discovery`)).json as unknown as ClusterRole;
  expect(discovery.rules?.[0]).toEqual(added.rules[0] as never);
  expect(discovery.rules).toContainEqual({ nonResourceURLs: ["/api/*"], verbs: ["get"] });
  expect((await send("GET", `${bindings}/system:discovery`)).json["subjects"]).toEqual([
    ...subjects,
    { kind: "Group", name: "system:authenticated", apiGroup: API_GROUP },
  ]);
  const kept = await send("GET", `${bindings}/system:public-info-viewer`);
  expect(kept.json["subjects"] ?? []).toEqual([]);
  expect((await send("GET", `${bindings}/system:monitoring`)).json["roleRef"]).toMatchObject({
    name: "system:monitoring",
  });
  expect((await send("GET", "/version", undefined, { authorization: "" })).status).toBe(403);
});

test("defaultPolicy: names nothing twice, and binds only roles that there are", () => {
  const { clusterRoles, clusterRoleBindings, roles, roleBindings } = defaultPolicy();
  const key = ({ metadata }: { metadata: { name?: string; namespace?: string } }) =>
    `${metadata.namespace ?? ""}/${metadata.name}`;
  for (const all of [clusterRoles, clusterRoleBindings, roles, roleBindings]) {
    expect(new Set(all.map(key)).size).toBe(all.length);
  }
  const names = new Set(clusterRoles.map(({ metadata }) => metadata.name));
  expect(clusterRoleBindings.filter(({ roleRef }) => !names.has(roleRef.name))).toEqual([]);
  const inNamespaces = new Set(roles.map(key));
  expect(
    roleBindings.filter(
      ({ metadata, roleRef }) => !inNamespaces.has(`${metadata.namespace}/${roleRef.name}`),
    ),
  ).toEqual([]);
});
