import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pushImage } from "../../src/cli/index.ts";
import { type Kubectl, kubectlWith, realClient } from "../harness/real-kubectl.ts";
import { runCommand, type SpawnedServer, spawnServer } from "../harness/spawned-server.ts";

const MODULE = join(import.meta.dir, "..", "..", "workloads", "hello-http", "hello-http.wasm");
const TEST_TIMEOUT_MS = 120_000;
const WAIT = "--timeout=30s";

let server: SpawnedServer;
let kubectl: Kubectl;

/** A file in the server's own directory, which goes with it. */
function file(name: string, text: string): string {
  const directory = join(server.dataDir, "manifests");
  mkdirSync(directory, { recursive: true });
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

async function refused(...args: string[]): Promise<string> {
  const { exitCode, stderr } = await kubectl(...args);
  expect(exitCode).not.toBe(0);
  return stderr;
}

beforeAll(async () => {
  server = await spawnServer();
  kubectl = kubectlWith(server.kubeconfig);
  const module = new Uint8Array(readFileSync(MODULE));
  const connection = { ...server, version: "", startedAt: "", server: server.url };
  for (const reference of ["app:v1", "app:v2"]) await pushImage(connection, { reference, module });
}, TEST_TIMEOUT_MS);

afterAll(async () => {
  await server[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

describe("kubectl, day to day", () => {
  test("kubectl explain has words for kinds and fields, in both forms of OpenAPI", async () => {
    const text = await kubectl.ok("explain", "deployment.spec");
    expect(text).not.toContain("<no description>");
    const replicas = await kubectl.ok("explain", "deployment.spec.replicas");
    expect(replicas).toMatch(/DESCRIPTION:\n {4}\S/);
    const older = await kubectl.ok("explain", "pods", "--output=plaintext-openapiv2");
    expect(older).toMatch(/DESCRIPTION:\n {5}\S/);
  });

  test("kubectl works with kinds of one's own, and their rules, columns and owners", async () => {
    const definition = file(
      "definition.yaml",
      `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: crontabs.stable.example.com }
spec:
  group: stable.example.com
  scope: Namespaced
  names: { plural: crontabs, singular: crontab, kind: CronTab, shortNames: [ct] }
  versions:
    - name: v1
      served: true
      storage: true
      additionalPrinterColumns: [{ name: Spec, type: string, jsonPath: .spec.cronSpec }]
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              x-kubernetes-validations: [{ rule: "self.replicas <= 5", message: "too many" }]
              properties:
                cronSpec: { type: string, description: "When it runs." }
                replicas: { type: integer, default: 1 }
`,
    );
    const tab = (replicas: number): string =>
      file(
        "tab.yaml",
        `apiVersion: stable.example.com/v1
kind: CronTab
metadata: { name: mine }
spec: { cronSpec: "0 * * * *", replicas: ${replicas} }
`,
      );
    await kubectl.ok("apply", "-f", definition);
    await kubectl.ok(
      "wait",
      "--for=condition=Established",
      WAIT,
      "crd/crontabs.stable.example.com",
    );
    expect(await kubectl.ok("apply", "-f", tab(2))).toContain("crontab.stable.example.com/mine");
    // A second time, kubectl sends a patch of the kind that OpenAPI says is taken.
    expect(await kubectl.ok("apply", "-f", tab(3))).toContain("configured");
    expect(await refused("apply", "-f", tab(6))).toContain("spec: Invalid value: ");
    expect(await kubectl.ok("get", "ct")).toMatch(/NAME +SPEC\nmine +0 \* \* \* \*/);
    expect(await kubectl.ok("explain", "crontab.spec.cronSpec")).toContain("When it runs.");
    const uid = await kubectl.ok("get", "ct", "mine", "-o", "jsonpath={.metadata.uid}");
    await kubectl.ok("create", "configmap", "owned");
    const owner = { apiVersion: "stable.example.com/v1", kind: "CronTab", name: "mine", uid };
    const patch = JSON.stringify({ metadata: { ownerReferences: [owner] } });
    await kubectl.ok("patch", "configmap", "owned", "--type=merge", "-p", patch);
    await kubectl.ok("delete", "crd", "crontabs.stable.example.com", WAIT);
    await kubectl.ok("wait", "--for=delete", WAIT, "configmap/owned");
    expect(await refused("get", "crontabs")).toMatch(/could not find|resource type/);
  });

  test("kubectl edit sends what the editor saved", async () => {
    await kubectl.ok("create", "configmap", "edited", "--from-literal=key=before");
    const editor = file("editor.sh", "#!/bin/sh\nsed -i 's/key: before/key: after/' \"$1\"\n");
    chmodSync(editor, 0o755);
    const env = { KUBECONFIG: server.kubeconfig, HOME: server.dataDir, EDITOR: editor };
    const done = await runCommand([realClient("kubectl"), "edit", "cm", "edited"], { env });
    expect(done.stdout).toBe("configmap/edited edited\n");
    const value = await kubectl.ok("get", "cm", "edited", "-o", "jsonpath={.data.key}");
    expect(value).toBe("after");
  });

  test("kubectl diff shows what apply would change, and apply takes out what is gone", async () => {
    const manifest = (data: string): string =>
      `{apiVersion: v1, kind: ConfigMap, metadata: {name: diffed}, data: {${data}}}`;
    await kubectl.feed(manifest("a: one, b: two"), "apply", "-f", "-");
    const path = file("diffed.yaml", manifest("a: three"));
    const { exitCode, stdout } = await kubectl("diff", "-f", path);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/^-\s+a: one$/m);
    expect(stdout).toMatch(/^-\s+b: two$/m);
    await kubectl.ok("apply", "-f", path);
    expect(await kubectl.ok("get", "cm", "diffed", "-o", "jsonpath={.data}")).toBe('{"a":"three"}');
    expect((await kubectl("diff", "-f", path)).exitCode).toBe(0);
    expect(await kubectl.ok("replace", "--force", "-f", path)).toContain("replaced");
  });

  test("kubectl patch says why a patch is refused", async () => {
    await kubectl.ok("create", "service", "clusterip", "patched", "--tcp=80:8080");
    const move = ["patch", "service", "patched", "-p"];
    expect(await refused(...move, '{"spec":{"clusterIP":"127.43.9.9"}}')).toContain(
      "may not change once set",
    );
    await kubectl.ok(...move, '{"spec":{"type":"NodePort"}}');
    await kubectl.ok(...move, '{"spec":{"type":"ExternalName","externalName":"example.com"}}');
    const shown = await kubectl.ok("get", "service", "patched", "-o", "jsonpath={.spec}");
    expect(shown).not.toContain("externalTrafficPolicy");
    const other = '{"metadata":{"namespace":"kube-system"}}';
    const refusal = await refused("patch", "cm", "kube-root-ca.crt", "--type=merge", "-p", other);
    expect(refusal).toContain("does not match the namespace on the request");
  });

  test(
    "kubectl rollout goes on, back, and waits when it is paused",
    async () => {
      await kubectl.ok(
        "create",
        "deployment",
        "rolled",
        "--image=app:v1",
        "--port=8080",
        "--replicas=2",
      );
      await kubectl.ok("rollout", "status", "deploy/rolled", WAIT);
      await kubectl.ok("set", "image", "deploy/rolled", "app=app:v2");
      await kubectl.ok("rollout", "status", "deploy/rolled", WAIT);
      const history = await kubectl.ok("rollout", "history", "deploy/rolled");
      expect(history).toMatch(/^1\s+<none>\n2\s+<none>$/m);
      await kubectl.ok("rollout", "undo", "deploy/rolled");
      await kubectl.ok("rollout", "status", "deploy/rolled", WAIT);
      const image = "jsonpath={.spec.template.spec.containers[0].image}";
      expect(await kubectl.ok("get", "deploy", "rolled", "-o", image)).toBe("app:v1");
      await kubectl.ok("rollout", "pause", "deploy/rolled");
      await kubectl.ok("set", "env", "deploy/rolled", "A=B");
      expect(await refused("rollout", "undo", "deploy/rolled")).toContain("paused");
      await kubectl.ok("rollout", "resume", "deploy/rolled");
      await kubectl.ok("rollout", "status", "deploy/rolled", WAIT);
      await kubectl.ok("wait", "--for=condition=Available", "deploy/rolled", WAIT);
      await kubectl.ok("wait", "--for=jsonpath={.status.readyReplicas}=2", "deploy/rolled", WAIT);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "kubectl delete leaves or takes what an object owns, as --cascade says",
    async () => {
      await kubectl.ok("create", "deployment", "owner", "--image=app:v1", "--port=8080");
      await kubectl.ok("rollout", "status", "deploy/owner", WAIT);
      await kubectl.ok("delete", "deployment", "owner", "--cascade=orphan");
      expect(await kubectl.ok("get", "rs", "-l", "app=owner", "-o", "name")).toMatch(/owner-/);
      await kubectl.ok("delete", "rs", "-l", "app=owner", "--cascade=foreground", WAIT);
      expect(await kubectl.ok("get", "rs,pods", "-l", "app=owner", "-o", "name")).toBe("");
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "kubectl delete -f takes a namespace and what the same file has in it",
    async () => {
      const inTeam = (kind: string): string =>
        `{apiVersion: v1, kind: ${kind}, metadata: {name: mine, namespace: team}}`;
      const team = "{apiVersion: v1, kind: Namespace, metadata: {name: team}}";
      const documents = [team, inTeam("ConfigMap"), inTeam("Secret"), inTeam("ServiceAccount")];
      const path = file("team.yaml", documents.join("\n---\n"));
      await kubectl.ok("apply", "-f", path);
      const deleted = await kubectl.ok("delete", "-f", path, WAIT);
      expect(deleted.trim().split("\n")).toHaveLength(documents.length);
      expect(await refused("get", "namespace", "team")).toContain("not found");
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "kubectl cordon, taint and drain empty a node",
    async () => {
      const node = (
        await kubectl.ok("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
      ).trim();
      await kubectl.ok("run", "alone", "--image=app:v1", "--port=8080");
      await kubectl.ok("wait", "--for=condition=Ready", "pod/alone", WAIT);
      expect(await refused("drain", node)).toContain("use --force to override");
      const drained = await kubectl.ok("drain", node, "--force", "--timeout=40s");
      expect(drained).toContain("pod/alone evicted");
      expect(await kubectl.ok("get", "nodes")).toContain("Ready,SchedulingDisabled");
      await kubectl.ok("uncordon", node);
      await kubectl.ok("taint", "node", node, "a=b:NoSchedule");
      expect(await refused("taint", "node", node, "a=b:NoSchedule")).toContain("already has");
      await kubectl.ok("taint", "node", node, "a:NoSchedule-");
    },
    TEST_TIMEOUT_MS,
  );

  test("kubectl --as has no more rights than who it names", async () => {
    expect(await refused("get", "pods", "--as=bob")).toContain(
      'User "bob" cannot list resource "pods" in API group "" in the namespace "default"',
    );
    await kubectl.ok("get", "pods", "--as=bob", "--as-group=system:masters");
  });

  test(
    "kubectl apply --server-side takes over from the client's side, and diff rehearses it",
    async () => {
      const map = (value: string): string =>
        `{apiVersion: v1, kind: ConfigMap, metadata: {name: plain}, data: {key: ${value}}}`;
      const path = file("plain.yaml", map("one"));
      await kubectl.ok("apply", "-f", path);
      expect(await kubectl.ok("apply", "--server-side", "-f", path)).toContain(
        "serverside-applied",
      );
      const owners = "jsonpath={.metadata.managedFields[*].manager}";
      expect(await kubectl.ok("get", "cm", "plain", "-o", owners)).not.toContain("client-side");
      file("plain.yaml", map("two"));
      const { exitCode, stdout } = await kubectl("diff", "--server-side", "-f", path);
      expect(exitCode).toBe(1);
      expect(stdout).toContain("+  key: two");
      await kubectl.ok("apply", "--server-side", "--dry-run=server", "-f", path);
      expect(await kubectl.ok("get", "cm", "plain", "-o", "jsonpath={.data.key}")).toBe("one");
      await kubectl.ok("apply", "--server-side", "-f", path);
      expect(await kubectl.ok("get", "cm", "plain", "-o", "jsonpath={.data.key}")).toBe("two");
    },
    TEST_TIMEOUT_MS,
  );
});
