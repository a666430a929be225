import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createCertificateRequest, createPrivateKey } from "../../src/os/certificate-requests.ts";
import { type ApiFixture, startApi } from "./api-server-fixture.ts";

/** What the real kubectl says about roles, and who may what. */
describe("kubectl and RBAC", () => {
  const started: { api?: ApiFixture } = {};

  beforeAll(async () => {
    started.api = await startApi();
  });

  afterAll(async () => {
    await started.api?.[Symbol.asyncDispose]();
  });

  const run = (...args: string[]) => {
    if (started.api === undefined) throw new Error("the API has not started");
    return started.api.kubectl(...args);
  };

  const ok = (...args: string[]): Promise<string> => {
    if (started.api === undefined) throw new Error("the API has not started");
    return started.api.kubectl.ok(...args);
  };

  const canI = async (...args: string[]): Promise<string> =>
    (await run("auth", "can-i", ...args)).stdout.trim();

  test("kubectl create role and rolebinding: open what they say, and nothing else", async () => {
    const before = await run("get", "pods", "--as=bob");
    expect(before.stderr.trim()).toBe(
      'Error from server (Forbidden): pods is forbidden: User "bob" cannot list resource "pods" ' +
        'in API group "" in the namespace "default"',
    );
    await ok("create", "role", "reader", "--verb=get,list,watch", "--resource=pods,pods/log");
    await ok("create", "rolebinding", "bob-reads", "--role=reader", "--user=bob");
    expect((await run("get", "pods", "--as=bob")).exitCode).toBe(0);
    expect((await run("get", "pods", "-A", "--as=bob")).stderr).toContain("at the cluster scope");
    expect((await run("get", "secrets", "--as=bob")).exitCode).not.toBe(0);
    const described = await ok("describe", "role", "reader");
    expect(described).toMatch(/pods\/log\s+\[\]\s+\[\]\s+\[get list watch\]/);
    await ok("create", "clusterrole", "metrics", "--verb=get", "--non-resource-url=/metrics");
    await ok("create", "clusterrolebinding", "metrics", "--clusterrole=metrics", "--group=ops");
    expect(await canI("get", "/metrics", "--as=eva", "--as-group=ops")).toBe("yes");
  });

  test("kubectl auth can-i: answers yes and no, and lists", async () => {
    expect(await canI("*", "*", "--all-namespaces")).toBe("yes");
    expect(await canI("list", "pods", "--as=bob")).toBe("yes");
    expect(await canI("get", "pods", "--subresource=log", "--as=bob")).toBe("yes");
    expect(await canI("delete", "pods", "--as=bob")).toBe("no");
    expect(await canI("list", "pods", "--as=bob", "-n", "kube-system")).toBe("no");
    const list = await ok("auth", "can-i", "--list", "--as=bob");
    expect(list).toMatch(/^pods\/log\s+\[\]\s+\[\]\s+\[get list watch\]$/m);
    expect(list).toMatch(/^selfsubjectreviews.authentication.k8s.io\s+\[\]\s+\[\]\s+\[create\]$/m);
    expect(list).toMatch(/\[\/version\]\s+\[\]\s+\[get\]/);
  });

  test("kubectl auth whoami: names the user and the groups", async () => {
    const text = await ok("auth", "whoami");
    expect(text).toMatch(/^Username\s+kubun-admin$/m);
    expect(text).toMatch(/^Groups\s+\[system:masters system:authenticated\]$/m);
    const account = await ok("auth", "whoami", "--as=system:serviceaccount:default:web");
    expect(account).toContain("system:serviceaccounts:default");
  });

  test("kubectl create: asks about others by a review", async () => {
    const review = {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SubjectAccessReview",
      spec: {
        user: "bob",
        resourceAttributes: { verb: "list", resource: "pods", namespace: "default" },
      },
    };
    // To validate kinds that cannot be patched kubectl asks for the list of CRDs.
    const args = ["create", "--validate=ignore", "-f", "-", "-o", "jsonpath={.status}"];
    const status = await started.api?.kubectl.feed(JSON.stringify(review), ...args);
    expect(JSON.parse(status ?? "{}")).toEqual({
      allowed: true,
      reason: 'RBAC: allowed by RoleBinding "bob-reads/default" of Role "reader" to User "bob"',
    });
    expect(await ok("api-resources", "--api-group=authorization.k8s.io")).toMatch(
      /^localsubjectaccessreviews\s+authorization.k8s.io\/v1\s+true\s+LocalSubjectAccessReview$/m,
    );
    expect(await ok("explain", "tokenreview.spec.token")).toContain("FIELD: token <string>");
  });

  test("kubectl auth reconcile: makes roles and bindings what a file says", async () => {
    const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "writer" };
    const rule = { apiGroups: [""], resources: ["configmaps"], verbs: ["create", "get"] };
    const meta = { apiVersion: "rbac.authorization.k8s.io/v1" };
    const named = { metadata: { name: "writer", namespace: "default" } };
    const items = [
      { ...meta, kind: "Role", ...named, rules: [rule] },
      { ...meta, kind: "RoleBinding", ...named, roleRef, subjects: [{ ...user("bob") }] },
    ];
    const list = JSON.stringify({ apiVersion: "v1", kind: "List", items });
    const feed = () => started.api?.kubectl.feed(list, "auth", "reconcile", "-f", "-");
    expect(await feed()).toContain("role.rbac.authorization.k8s.io/writer reconciled");
    expect(await canI("create", "configmaps", "--as=bob")).toBe("yes");
    await feed();
  });

  test("kubectl create token: makes requests as the account, bound to what it names", async () => {
    await ok("create", "serviceaccount", "robot");
    await ok("create", "secret", "generic", "anchor");
    const token = (await ok("create", "token", "robot", "--duration=20m")).trim();
    expect(await ok("auth", "whoami", `--token=${token}`)).toMatch(
      /^Username\s+system:serviceaccount:default:robot$/m,
    );
    const bound = ["--bound-object-kind=Secret", "--bound-object-name=anchor"];
    const anchored = (await ok("create", "token", "robot", ...bound)).trim();
    expect((await run("auth", "whoami", `--token=${anchored}`)).exitCode).toBe(0);
    await ok("delete", "secret", "anchor");
    const gone = await run("auth", "whoami", `--token=${anchored}`);
    expect(gone.stderr).toContain("You must be logged in to the server");
    const short = await run("create", "token", "robot", "--duration=1m");
    expect(short.stderr).toContain("may not specify a duration less than 10 minutes");
  });

  test("kubectl certificate: approves and denies", async () => {
    const pem = await createCertificateRequest(await createPrivateKey(), { commonName: "jane" });
    const request = Buffer.from(pem).toString("base64");
    const signerName = "kubernetes.io/kube-apiserver-client";
    for (const name of ["jane", "joe"]) {
      const spec = { request, signerName, usages: ["client auth"] };
      const kind = "CertificateSigningRequest";
      const object = { apiVersion: "certificates.k8s.io/v1", kind, metadata: { name }, spec };
      await started.api?.kubectl.feed(JSON.stringify(object), "create", "-f", "-");
    }
    await ok("certificate", "approve", "jane");
    await ok("certificate", "deny", "joe");
    const table = await ok("get", "csr");
    expect(table).toMatch(/^jane\s+\S+\s+\S+client\s+kubun-admin\s+<none>\s+Approved$/m);
    expect(table).toMatch(/^joe\s.*Denied$/m);
  });

  test("kubectl: nobody gives what he does not have", async () => {
    await ok("create", "rolebinding", "eva", "--clusterrole=admin", "--user=eva");
    const args = ["create", "role", "nodes", "--verb=get", "--resource=nodes", "--as=eva"];
    expect((await run(...args)).stderr).toContain(
      "is attempting to grant RBAC permissions not currently held:\n" +
        '{APIGroups:[""], Resources:["nodes"], Verbs:["get"]}',
    );
    const up = ["create", "rolebinding", "up", "--clusterrole=cluster-admin", "--user=eva"];
    expect((await run(...up, "--as=eva")).exitCode).not.toBe(0);
    const down = ["create", "rolebinding", "down", "--clusterrole=view", "--user=zoe"];
    expect((await run(...down, "--as=eva")).exitCode).toBe(0);
    const patch = '{"roleRef":{"name":"view"}}';
    const moved = await run("patch", "rolebinding", "eva", "-p", patch);
    expect(moved.stderr).toContain("cannot change roleRef");
  });

  test("kubectl get clusterroles: shows Kubernetes' default roles, sums filled in", async () => {
    const names = await ok("get", "clusterroles", "-o", "name");
    for (const name of ["admin", "edit", "view", "cluster-admin", "system:node"]) {
      expect(names).toContain(`clusterrole.rbac.authorization.k8s.io/${name}\n`);
    }
    expect(await ok("describe", "clusterrole", "view")).toMatch(/pods\/log\s+\[\]\s+\[\]/);
    const wide = await ok("get", "clusterrolebindings", "cluster-admin", "-o", "wide");
    expect(wide).toMatch(/ClusterRole\/cluster-admin\s+\S+\s+system:masters/);
  });
});

function user(name: string) {
  return { kind: "User", apiGroup: "rbac.authorization.k8s.io", name };
}
