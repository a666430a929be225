import { expect, test } from "bun:test";
import { ADMIN_TOKEN, apiFixture, USER_TOKEN } from "./testing/api-fixture.ts";

const AUTHORIZATION = "/apis/authorization.k8s.io/v1";
const AUTHENTICATION = "/apis/authentication.k8s.io/v1";
const BOB = { authorization: `Bearer ${USER_TOKEN}` };
const pods = { resource: "pods", verb: "list", namespace: "default" };

test("answerReview: says whether the sender may", async () => {
  const { send } = await apiFixture();
  const path = `${AUTHORIZATION}/selfsubjectaccessreviews`;
  const body = { spec: { resourceAttributes: pods } };
  const admin = await send("POST", path, body);
  expect(admin.status).toBe(201);
  expect(admin.json).toMatchObject({
    kind: "SelfSubjectAccessReview",
    apiVersion: "authorization.k8s.io/v1",
    spec: body.spec,
    status: { allowed: true },
  });
  expect((await send("POST", path, body, BOB)).json["status"]).toEqual({ allowed: false });
  const version = { spec: { nonResourceAttributes: { path: "/version", verb: "get" } } };
  expect((await send("POST", path, version, BOB)).json["status"]).toEqual({
    allowed: true,
    reason:
      'RBAC: allowed by ClusterRoleBinding "system:discovery" of ClusterRole ' +
      '"system:discovery" to Group "system:authenticated"',
  });
  for (const spec of [{}, { ...body.spec, ...version.spec }]) {
    expect((await send("POST", path, { spec })).status).toBe(422);
  }
});

test("answerReview: says for those who may ask whether another may", async () => {
  const { send } = await apiFixture();
  const path = `${AUTHORIZATION}/subjectaccessreviews`;
  const spec = { resourceAttributes: pods, user: "x", groups: ["system:masters"] };
  expect((await send("POST", path, { spec })).json["status"]).toEqual({ allowed: true });
  expect((await send("POST", path, { spec }, BOB)).status).toBe(403);
  expect((await send("POST", path, { spec: { resourceAttributes: pods } })).status).toBe(422);
  const local = `${AUTHORIZATION}/namespaces/default/localsubjectaccessreviews`;
  expect((await send("POST", local, { spec })).json["status"]).toEqual({ allowed: true });
  const elsewhere = { ...spec, resourceAttributes: { ...pods, namespace: "other" } };
  expect((await send("POST", local, { spec: elsewhere })).status).toBe(422);
});

test("answerReview: lists what the sender may do in a namespace", async () => {
  const { send } = await apiFixture();
  const path = `${AUTHORIZATION}/selfsubjectrulesreviews`;
  const { json } = await send("POST", path, { spec: { namespace: "default" } }, BOB);
  const status = json["status"] as Record<string, unknown[]>;
  expect(status["resourceRules"]).toContainEqual({
    verbs: ["create"],
    apiGroups: ["authentication.k8s.io"],
    resources: ["selfsubjectreviews"],
  });
  expect(status["nonResourceRules"]?.length).toBeGreaterThan(0);
  expect((await send("POST", path, { spec: {} }, BOB)).status).toBe(400);
});

test("answerReview: says who somebody is", async () => {
  const { send } = await apiFixture();
  const self = await send("POST", `${AUTHENTICATION}/selfsubjectreviews`, {}, BOB);
  expect(self.json["status"]).toEqual({
    userInfo: { username: "bob", groups: ["system:authenticated"] },
  });
  const path = `${AUTHENTICATION}/tokenreviews`;
  const review = async (token: string) =>
    (await send("POST", path, { spec: { token } })).json["status"];
  expect(await review(ADMIN_TOKEN)).toEqual({
    authenticated: true,
    audiences: ["https://kubernetes.default.svc.cluster.local"],
    user: { username: "admin", groups: ["system:masters", "system:authenticated"] },
  });
  expect(await review("nobody\r\nx: y")).toEqual({ user: {}, error: "invalid bearer token" });
  expect((await send("POST", path, { spec: { token: ADMIN_TOKEN } }, BOB)).status).toBe(403);
});

test("answerReview: reviews are asked, never kept", async () => {
  const { send, store } = await apiFixture();
  const before = store.writes;
  await send("POST", `${AUTHENTICATION}/selfsubjectreviews`, { metadata: { name: "x" } });
  expect(store.writes).toBe(before);
  const path = `${AUTHORIZATION}/selfsubjectaccessreviews`;
  for (const [method, on] of [
    ["GET", path],
    ["GET", `${path}/x`],
    ["PUT", `${path}/x`],
    ["DELETE", `${path}/x`],
  ] as const) {
    expect((await send(method, on, method === "PUT" ? {} : undefined)).status).toBe(405);
  }
});
