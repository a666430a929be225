import { beforeAll, describe, expect, test } from "bun:test";
import { apiFixture, type ApiFixture, USER_TOKEN } from "../testing/api-fixture.ts";
import { organizationsOf } from "./request-subject.ts";

const PATH = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const AS_BOB = { authorization: `Bearer ${USER_TOKEN}` };
/** CN=jane, O=system:masters and O=devs, P-256, made with openssl. */
const MASTERS = `-----BEGIN CERTIFICATE REQUEST-----
MIHyMIGZAgEAMDcxFzAVBgNVBAoMDnN5c3RlbTptYXN0ZXJzMQ0wCwYDVQQKDARk
ZXZzMQ0wCwYDVQQDDARqYW5lMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE7tvn
Rl6oBBfn5r5I4f8Tca8mvfMqpWhIJhkqcDa68rBQeiCmLf/te1Rr29TW7NCxXShx
6CB/xxzgzxA0DvVkJ6AAMAoGCCqGSM49BAMCA0gAMEUCIQDoaaoCleMby3gDqb7Y
/9nSNWQnuupicX1erTkVJbZC/wIgSZA7kfMbB222F981K/RBGawl/h2n4q+D+QqK
p+QveSE=
-----END CERTIFICATE REQUEST-----
`;

/** CN=jane alone. */
const PLAIN = `-----BEGIN CERTIFICATE REQUEST-----
MIHKMHECAQAwDzENMAsGA1UEAwwEamFuZTBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABO7b50ZeqAQX5+a+SOH/E3GvJr3zKqVoSCYZKnA2uvKwUHogpi3/7XtUa9vU
1uzQsV0oceggf8cc4M8QNA71ZCegADAKBggqhkjOPQQDAgNJADBGAiEA+8NPfcsm
11FUtfImBFGYKt/5lKgPeaURsz2mFo0LAI8CIQCM1Ds7QWPNUVhNaUh5IeiAb8E4
LEGQZsqcpG6+nRcnZg==
-----END CERTIFICATE REQUEST-----
`;
let api: ApiFixture;

function body(name: string, request: string, spec: Record<string, unknown> = {}) {
  return {
    metadata: { name },
    spec: {
      request: Buffer.from(request).toString("base64"),
      signerName: "kubernetes.io/kube-apiserver-client",
      usages: ["client auth"],
      ...spec,
    },
  };
}

async function grant(role: string): Promise<void> {
  await api.send("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
    metadata: { name: role },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role },
    subjects: [{ kind: "User", name: "bob", apiGroup: "rbac.authorization.k8s.io" }],
  });
}

describe("admitCertificateRequest", () => {
  beforeAll(async () => {
    api = await apiFixture();
    await api.send("POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", {
      metadata: { name: "requests" },
      rules: [
        {
          apiGroups: ["certificates.k8s.io"],
          resources: [
            "certificatesigningrequests",
            "certificatesigningrequests/approval",
            "certificatesigningrequests/status",
          ],
          verbs: ["*"],
        },
      ],
    });
    await grant("requests");
  });

  test("admitCertificateRequest: a request says who sent it, whatever it claims", async () => {
    const spec = { username: "admin", groups: ["system:masters"] };
    const { status, json } = await api.send("POST", PATH, body("jane", PLAIN, spec), AS_BOB);
    expect(status).toBe(201);
    expect(json["spec"]).toMatchObject({ username: "bob", groups: ["system:authenticated"] });
    const patch = { spec: { username: "admin" } };
    const headers = { ...AS_BOB, "content-type": "application/merge-patch+json" };
    const changed = await api.send("PATCH", `${PATH}/jane`, patch, headers);
    expect(changed.json["spec"]).toMatchObject({ username: "bob" });
  });

  test("admitCertificateRequest: approving and issuing need the verbs of the signer", async () => {
    await api.send("POST", PATH, body("joe", PLAIN), AS_BOB);
    const headers = { ...AS_BOB, "content-type": "application/merge-patch+json" };
    const conditions = [{ type: "Approved", status: "True", reason: "KubectlApprove" }];
    const approve = () =>
      api.send("PATCH", `${PATH}/joe/approval`, { status: { conditions } }, headers);
    const refused = await approve();
    expect([refused.status, refused.json["message"]]).toEqual([
      403,
      'certificatesigningrequests.certificates.k8s.io "joe" is forbidden: user not permitted to ' +
        'approve requests with signerName "kubernetes.io/kube-apiserver-client"',
    ]);
    await grant("system:certificates.k8s.io:kube-apiserver-client-approver");
    const approved = await approve();
    expect(approved.status).toBe(200);
    expect(approved.json["status"]).toMatchObject({
      conditions: [{ type: "Approved", lastUpdateTime: expect.any(String) }],
    });
    const certificate = Buffer.from("not mine to give").toString("base64");
    const issued = await api.send(
      "PATCH",
      `${PATH}/joe/status`,
      { status: { certificate } },
      headers,
    );
    expect(issued.status).toBe(403);
    // Somebody who may write the status alone decides nothing.
    const denied = { status: { conditions: [{ type: "Denied", status: "True" }] } };
    const after = await api.send("PATCH", `${PATH}/joe/status`, denied, headers);
    expect(JSON.stringify(after.json["status"])).not.toContain("Denied");
    expect(JSON.stringify(after.json["status"])).toContain("Approved");
  });

  test("admitCertificateRequest: refuses administrators, and what is no request", async () => {
    const masters = await api.send("POST", PATH, body("root", MASTERS), AS_BOB);
    expect([masters.status, masters.json["message"]]).toEqual([
      403,
      'certificatesigningrequests.certificates.k8s.io "root" is forbidden: use of ' +
        "kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed",
    ]);
    expect(organizationsOf(MASTERS)?.toSorted()).toEqual(["devs", "system:masters"]);
    const junk = await api.send(
      "POST",
      PATH,
      body("junk", "junk", { usages: ["walking"] }),
      AS_BOB,
    );
    expect(junk.status).toBe(422);
    const { causes } = junk.json["details"] as { causes: { field: string }[] };
    expect(causes.map(({ field }) => field)).toEqual(["spec.request", "spec.usages[0]"]);
  });
});
