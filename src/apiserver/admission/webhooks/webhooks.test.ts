import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../../../apimachinery/index.ts";
import {
  createCertificateAuthority,
  issueServerCertificate,
} from "../../../os/testing/test-certificates.ts";
import { apiFixture, type ApiFixture, MAPS } from "../../testing/api-fixture.ts";
import type { WebhookFetch, WebhookRequest } from "./webhook-client.ts";
import { webhookFetch } from "./webhook-fetch.ts";

const ROOT = "/apis/admissionregistration.k8s.io/v1";
const RULE = {
  apiGroups: [""],
  apiVersions: ["v1"],
  operations: ["*"],
  resources: ["configmaps"],
};

type Fields = Readonly<Record<string, unknown>>;
type Answer = (request: JsonObject, call: WebhookRequest) => Fields;

/** A webhook that answers in the process. */
function answering(answer: Answer): WebhookFetch {
  return async (call) => {
    const review = JSON.parse(call.body) as JsonObject;
    const request = review["request"] as JsonObject;
    const response = { uid: request["uid"], ...answer(request, call) };
    return Response.json({ ...review, request: undefined, response });
  };
}

async function withWebhook(
  kind: "mutating" | "validating",
  fetch: WebhookFetch,
  webhook: Fields = {},
): Promise<ApiFixture> {
  const fixture = await apiFixture({ webhookFetch: fetch });
  const body = {
    metadata: { name: "hooks" },
    webhooks: [
      {
        name: "check.example.com",
        clientConfig: { url: "https://hooks.example.com/check" },
        rules: [RULE],
        sideEffects: "None",
        admissionReviewVersions: ["v1"],
        ...webhook,
      },
    ],
  };
  const path = `${ROOT}/${kind}webhookconfigurations`;
  expect(await fixture.send("POST", path, body)).toMatchObject({ status: 201 });
  return fixture;
}

function patchOf(operations: readonly unknown[]): Fields {
  const patch = btoa(JSON.stringify(operations));
  return { allowed: true, patchType: "JSONPatch", patch };
}

describe("WebhookAdmission", () => {
  test("WebhookAdmission: a validating webhook sees who writes what, and refuses it", async () => {
    const seen: JsonObject[] = [];
    const { send } = await withWebhook(
      "validating",
      answering((request) => {
        seen.push(request);
        return { allowed: false, status: { message: "not today" }, warnings: ["look out"] };
      }),
    );
    const refused = await send("POST", MAPS, { metadata: { name: "a" }, data: { x: "1" } });
    expect(refused.json).toMatchObject({
      code: 400,
      message: 'admission webhook "check.example.com" denied the request: not today',
    });
    expect(seen).toMatchObject([
      {
        operation: "CREATE",
        name: "a",
        namespace: "default",
        resource: { group: "", version: "v1", resource: "configmaps" },
        userInfo: { username: "admin" },
        object: { kind: "ConfigMap", data: { x: "1" } },
        oldObject: null,
        dryRun: false,
      },
    ]);
  });

  test("WebhookAdmission: a mutating webhook changes what is written", async () => {
    const { send } = await withWebhook(
      "mutating",
      answering(() => patchOf([{ op: "add", path: "/data", value: { added: "yes" } }])),
    );
    const created = await send("POST", MAPS, { metadata: { name: "a" } });
    expect(created.json).toMatchObject({ metadata: { name: "a" }, data: { added: "yes" } });
    const merge = { "content-type": "application/merge-patch+json" };
    const patched = await send("PATCH", `${MAPS}/a`, { data: { more: "x" } }, merge);
    expect(patched.json["data"]).toEqual({ added: "yes" });
  });

  test("WebhookAdmission: selectors and conditions decide whether it is asked", async () => {
    let calls = 0;
    const count = answering(() => {
      calls++;
      return { allowed: true };
    });
    const { send } = await withWebhook("validating", count, {
      namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "default" } },
      objectSelector: { matchLabels: { checked: "yes" } },
      matchConditions: [{ name: "data", expression: "has(object.data)" }],
    });
    await send("POST", MAPS, { metadata: { name: "a" }, data: {} });
    await send("POST", MAPS, { metadata: { name: "b", labels: { checked: "yes" } } });
    const other = MAPS.replace("default", "kube-system");
    const body = { metadata: { name: "c", labels: { checked: "yes" } }, data: {} };
    await send("POST", other, body);
    expect(calls).toBe(0);
    await send("POST", MAPS, body);
    expect(calls).toBe(1);
  });

  test("WebhookAdmission: what gives no answer refuses the write, or is passed over", async () => {
    const broken: WebhookFetch = () => Promise.reject(new Error("connection refused"));
    const failing = await withWebhook("validating", broken);
    expect((await failing.send("POST", MAPS, { metadata: { name: "a" } })).json).toMatchObject({
      code: 500,
      reason: "InternalError",
      message:
        'Internal error occurred: failed calling webhook "check.example.com": failed to call ' +
        'webhook: Post "https://hooks.example.com/check?timeout=10s": connection refused',
    });
    const ignored = await withWebhook("validating", broken, { failurePolicy: "Ignore" });
    expect((await ignored.send("POST", MAPS, { metadata: { name: "a" } })).status).toBe(201);
  });

  test("WebhookAdmission: a Service is called at its address, by its own name", async () => {
    const calls: WebhookRequest[] = [];
    const fetch = answering((_request, call) => {
      calls.push(call);
      return { allowed: true };
    });
    const clientConfig = {
      service: { namespace: "default", name: "hooks", path: "/check" },
      caBundle: btoa("PEM"),
    };
    const { send } = await withWebhook("validating", fetch, { clientConfig });
    const missing = await send("POST", MAPS, { metadata: { name: "a" } });
    expect(missing.json["message"]).toContain('service "hooks" not found');
    const service = { metadata: { name: "hooks" }, spec: { ports: [{ port: 443 }] } };
    await send("POST", "/api/v1/namespaces/default/services", service);
    expect((await send("POST", MAPS, { metadata: { name: "a" } })).status).toBe(201);
    expect(calls[0]?.url).toMatch(/^https:\/\/127\.43\.\d+\.\d+:443\/check\?timeout=10s$/);
    expect(calls[0]).toMatchObject({ serverName: "hooks.default.svc", authority: "PEM" });
  });
});

test("webhookFetch: verifies the certificate by its authority and the Service's name", async () => {
  const nowMs = Date.now();
  const ca = await createCertificateAuthority(nowMs);
  const names = ["hooks.default.svc"];
  const pair = await issueServerCertificate({ ca, names, nowMs });
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    tls: { cert: pair.certificate, key: pair.privateKey },
    fetch: (request) => new Response(request.headers.get("host")),
  });
  try {
    const url = `https://127.0.0.1:${server.port}/check`;
    const signal = AbortSignal.timeout(5000);
    const call = { url, body: "{}", signal, authority: ca.certificate };
    const [serverName = ""] = names;
    const answer = await webhookFetch({ ...call, serverName });
    expect(await answer.text()).toBe(serverName);
    expect(webhookFetch(call)).rejects.toThrow("ALTNAME_INVALID");
    const { certificate: authority } = await createCertificateAuthority(nowMs);
    expect(webhookFetch({ ...call, serverName, authority })).rejects.toThrow("certificate");
  } finally {
    await server.stop(true);
  }
});
