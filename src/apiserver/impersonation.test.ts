import { expect, test } from "bun:test";
import { apiFixture, PODS, USER_TOKEN } from "./testing/api-fixture.ts";

test("actingUser: an administrator who acts as another has that one's rights", async () => {
  const { send } = await apiFixture();
  const bob = await send("GET", PODS, undefined, { "impersonate-user": "bob" });
  expect([bob.status, String(bob.json["message"])]).toEqual([
    403,
    'pods is forbidden: User "bob" cannot list resource "pods" in API group "" ' +
      'in the namespace "default"',
  ]);
  const groups = { "impersonate-user": "bob", "impersonate-group": "devs, system:masters" };
  expect((await send("GET", PODS, undefined, groups)).status).toBe(200);
});

test("actingUser: only who may impersonate can", async () => {
  const { send } = await apiFixture();
  const headers = { authorization: `Bearer ${USER_TOKEN}`, "impersonate-user": "admin" };
  const refused = await send("GET", PODS, undefined, headers);
  expect([refused.status, String(refused.json["message"])]).toEqual([
    403,
    'users "admin" is forbidden: User "bob" cannot impersonate resource "users" ' +
      'in API group "" at the cluster scope',
  ]);
});

test("actingUser: a service account brings its groups, and extras need a user", async () => {
  const { send } = await apiFixture({
    authorizer: {
      decide: ({ groups }, { verb }) => ({
        allowed: verb === "impersonate" || groups.includes("system:serviceaccounts:apps"),
        reason: "",
      }),
    },
  });
  const account = { "impersonate-user": "system:serviceaccount:apps:web" };
  expect((await send("GET", PODS, undefined, account)).status).toBe(200);
  expect((await send("GET", PODS, undefined, { "impersonate-user": "x" })).status).toBe(403);
  expect((await send("GET", PODS, undefined, { "impersonate-group": "x" })).status).toBe(400);
  const malformed = { "impersonate-user": "system:serviceaccount:apps" };
  expect((await send("GET", PODS, undefined, malformed)).status).toBe(401);
});
