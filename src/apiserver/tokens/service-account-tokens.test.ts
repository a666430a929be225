import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { type ApiFixture, apiFixture, PODS, podBody } from "../testing/api-fixture.ts";

const ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts";
const ISSUER = "https://kubernetes.default.svc.cluster.local";

async function withAccount(): Promise<ApiFixture> {
  const api = await apiFixture();
  await api.send("POST", ACCOUNTS, { metadata: { name: "web" } });
  return api;
}

function requestBody(spec: Record<string, unknown> = {}) {
  return { kind: "TokenRequest", apiVersion: "authentication.k8s.io/v1", metadata: {}, spec };
}

async function tokenFor(api: ApiFixture, spec: Record<string, unknown> = {}): Promise<string> {
  const { status, json, text } = await api.send("POST", `${ACCOUNTS}/web/token`, requestBody(spec));
  if (status !== 201) throw new Error(text);
  return (json["status"] as { token: string }).token;
}

function claimsOf(token: string): Record<string, unknown> {
  const text = Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8");
  return JSON.parse(text) as Record<string, unknown>;
}

async function whoIs(api: ApiFixture, token: string) {
  const path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
  const headers = { authorization: `Bearer ${token}` };
  const { status, json } = await api.send("POST", path, {}, headers);
  const { userInfo } = (json["status"] ?? {}) as { userInfo?: Record<string, unknown> };
  return status === 201 ? userInfo : status;
}

async function createPod(api: ApiFixture, name: string): Promise<string> {
  const { json } = await api.send("POST", PODS, podBody(name, { serviceAccountName: "web" }));
  return (json["metadata"] as { uid: string }).uid;
}

describe("TokenRequest", () => {
  test("TokenRequest gives a token with which the account makes requests", async () => {
    const api = await withAccount();
    const token = await tokenFor(api);
    const { exp, iat, jti, ...rest } = claimsOf(token) as Record<string, number>;
    expect(Number(exp) - Number(iat)).toBe(3600);
    expect(rest).toMatchObject({
      aud: [ISSUER],
      iss: ISSUER,
      sub: "system:serviceaccount:default:web",
      "kubernetes.io": { namespace: "default", serviceaccount: { name: "web" } },
    });
    expect(await whoIs(api, token)).toMatchObject({
      username: "system:serviceaccount:default:web",
      groups: ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
      extra: { "authentication.kubernetes.io/credential-id": [`JTI=${jti}`] },
    });
  });

  test("TokenRequest: its token ends with its time, its pod, and its account", async () => {
    const api = await withAccount();
    const uid = await createPod(api, "one");
    const boundObjectRef = { kind: "Pod", apiVersion: "v1", name: "one", uid };
    const bound = await tokenFor(api, { boundObjectRef, expirationSeconds: 600 });
    const free = await tokenFor(api, { expirationSeconds: 86_400 });
    expect(await whoIs(api, bound)).toMatchObject({
      extra: { "authentication.kubernetes.io/pod-name": ["one"] },
    });
    const first = await tokenFor(api, { expirationSeconds: 600 });
    expect(await whoIs(api, first)).not.toBe(401);
    api.clock.advance(601_000);
    expect(await whoIs(api, first)).toBe(401);
    const again = await tokenFor(api, { boundObjectRef });
    await api.send("DELETE", `${PODS}/one?gracePeriodSeconds=0`);
    await createPod(api, "one");
    expect(await whoIs(api, again)).toBe(401);
    expect(await whoIs(api, free)).not.toBe(401);
    await api.send("DELETE", `${ACCOUNTS}/web`);
    await api.send("POST", ACCOUNTS, { metadata: { name: "web" } });
    expect(await whoIs(api, free)).toBe(401);
  });

  test("TokenRequest: a pod's usual token lasts a year and says when to complain", async () => {
    const api = await withAccount();
    const uid = await createPod(api, "one");
    const boundObjectRef = { kind: "Pod", apiVersion: "v1", name: "one", uid };
    const claims = claimsOf(await tokenFor(api, { boundObjectRef, expirationSeconds: 3607 }));
    const { exp, iat } = claims as { exp: number; iat: number };
    expect(exp - iat).toBe(365 * 24 * 3600);
    expect(claims["kubernetes.io"]).toMatchObject({ warnafter: iat + 3607, pod: { uid } });
  });

  test("TokenRequest refuses in Kubernetes' words", async () => {
    const api = await withAccount();
    await createPod(api, "one");
    const ask = async (spec: Record<string, unknown>, account = "web") => {
      const path = `${ACCOUNTS}/${account}/token`;
      const { status, json } = await api.send("POST", path, requestBody(spec));
      return [status, json["message"]];
    };
    const pod = { kind: "Pod", apiVersion: "v1", name: "one" };
    expect(await ask({ expirationSeconds: 5 })).toEqual([
      422,
      'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: ' +
        "Invalid value: 5: may not specify a duration less than 10 minutes",
    ]);
    expect(await ask({}, "none")).toEqual([404, 'serviceaccounts "none" not found']);
    expect(await ask({ boundObjectRef: { ...pod, name: "two" } })).toEqual([
      404,
      'pods "two" not found',
    ]);
    expect((await ask({ boundObjectRef: { ...pod, uid: "other" } }))[0]).toBe(409);
    const other = await ask({
      boundObjectRef: { ...pod, kind: "Deployment", apiVersion: "apps/v1" },
    });
    expect(other).toEqual([400, "cannot bind token to object of type apps/v1, Kind=Deployment"]);
  });
});

describe("ServiceAccountTokens", () => {
  test("ServiceAccountTokens: a token for another audience opens a TokenReview alone", async () => {
    const api = await withAccount();
    const token = await tokenFor(api, { audiences: ["vault"] });
    expect(await whoIs(api, token)).toBe(401);
    const review = async (audiences?: string[]) => {
      const path = "/apis/authentication.k8s.io/v1/tokenreviews";
      const { json } = await api.send("POST", path, { spec: { token, audiences } });
      return json["status"] as Record<string, unknown>;
    };
    expect(await review(["vault", "other"])).toMatchObject({
      authenticated: true,
      audiences: ["vault"],
      user: { username: "system:serviceaccount:default:web" },
    });
    expect((await review())["authenticated"]).toBeUndefined();
  });

  test("ServiceAccountTokens: what was changed in a token makes it nobody's", async () => {
    const api = await withAccount();
    const [head, , signature] = (await tokenFor(api)).split(".");
    const claims = { iss: ISSUER, aud: [ISSUER], exp: 9e9, sub: "system:serviceaccount:x:y" };
    const forged = Buffer.from(JSON.stringify(claims)).toString("base64url");
    expect(await whoIs(api, `${head}.${forged}.${signature}`)).toBe(401);
    const none = Buffer.from(JSON.stringify({ alg: "none" })).toString("base64url");
    expect(await whoIs(api, `${none}.${forged}.`)).toBe(401);
    expect(await whoIs(api, `${none}.${forged}.AAAA`)).toBe(401);
  });

  test("ServiceAccountTokens: others check them with what the issuer publishes", async () => {
    const api = await withAccount();
    const token = await tokenFor(api);
    const about = await api.send("GET", "/.well-known/openid-configuration");
    expect(about.json["issuer"]).toBe(ISSUER);
    const keys = JSON.parse((await api.send("GET", "/openid/v1/jwks")).text) as { keys: object[] };
    const { createLocalJWKSet, jwtVerify } = await import("jose");
    const currentDate = new Date(api.clock.now());
    const options = { issuer: ISSUER, audience: ISSUER, currentDate };
    const { payload } = await jwtVerify(token, createLocalJWKSet(keys as never), options);
    expect(payload.sub).toBe("system:serviceaccount:default:web");
    expect(keys.keys[0]).not.toHaveProperty("d");
  });
});

describe("bootstrapTokenAuthenticator", () => {
  test("bootstrapTokenAuthenticator: a token is a user as long as its Secret says so", async () => {
    const api = await apiFixture();
    const data = {
      "token-id": "abcdef",
      "token-secret": "0123456789abcdef",
      "usage-bootstrap-authentication": "true",
      "auth-extra-groups": "system:bootstrappers:workers",
      expiration: new Date(api.clock.now() + 60_000).toISOString(),
    };
    const secrets = "/api/v1/namespaces/kube-system/secrets";
    await api.send("POST", secrets, {
      metadata: { name: "bootstrap-token-abcdef" },
      type: "bootstrap.kubernetes.io/token",
      stringData: data,
    });
    expect(await whoIs(api, "abcdef.0123456789abcdef")).toMatchObject({
      username: "system:bootstrap:abcdef",
      groups: ["system:bootstrappers", "system:bootstrappers:workers", "system:authenticated"],
    });
    expect(await whoIs(api, "abcdef.0123456789abcdee")).toBe(401);
    api.clock.advance(61_000);
    expect(await whoIs(api, "abcdef.0123456789abcdef")).toBe(401);
  });
});

describe("node's tokens", () => {
  test("TokenRequest: a node gets those of its own pods, for what volumes name", async () => {
    const api = await withAccount();
    const token = `kubun-node.node-1.${"ab".repeat(32)}`;
    const sha256 = createHash("sha256").update(token).digest("hex");
    await api.send("POST", "/api/v1/namespaces/kube-system/secrets", {
      metadata: { name: "node-credential-node-1" },
      type: "kubun.dev/node-credential",
      stringData: { sha256 },
    });
    const volumes = [
      {
        name: "vault",
        projected: { sources: [{ serviceAccountToken: { path: "t", audience: "vault" } }] },
      },
    ];
    const pod = async (name: string, nodeName: string): Promise<string> => {
      const spec = { serviceAccountName: "web", nodeName, volumes };
      const { json } = await api.send("POST", PODS, podBody(name, spec));
      return (json["metadata"] as { uid: string }).uid;
    };
    const [own, other] = [await pod("own", "node-1"), await pod("other", "node-2")];
    const ask = async (spec: Record<string, unknown>) => {
      const headers = { authorization: `Bearer ${token}` };
      const body = requestBody({ audiences: ["vault"], ...spec });
      const { status, json } = await api.send("POST", `${ACCOUNTS}/web/token`, body, headers);
      const message = (json["message"] ?? "") as string;
      return [status, message.replace(/^.* is forbidden: /, "")];
    };
    const ref = (name: string, uid: string) => ({ kind: "Pod", apiVersion: "v1", name, uid });
    expect(await ask({ boundObjectRef: ref("own", own) })).toEqual([201, ""]);
    expect(await ask({})).toEqual([403, "node requested token not bound to a pod"]);
    expect(await ask({ boundObjectRef: ref("own", "") })).toEqual([
      403,
      "node requested token with a pod binding without a uid",
    ]);
    expect(await ask({ boundObjectRef: ref("other", other) })).toEqual([
      403,
      "node requested token bound to a pod scheduled on a different node",
    ]);
    expect(await ask({ boundObjectRef: ref("own", own), audiences: ["else"] })).toEqual([
      403,
      'audience "else" not found in pod spec volume',
    ]);
  });
});
