import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { realClient } from "../harness/real-kubectl.ts";
import { type ApiFixture, startApi } from "./api-server-fixture.ts";

/** What the real kubectl says to the API, without the controllers: no pod runs here. */
describe("kubectl and the API", () => {
  const started: { api?: ApiFixture } = {};

  beforeAll(async () => {
    started.api = await startApi();
  });

  afterAll(async () => {
    await started.api?.[Symbol.asyncDispose]();
  });

  const kubectl = (...args: string[]): Promise<string> => {
    if (started.api === undefined) throw new Error("the API has not started");
    return started.api.kubectl.ok(...args);
  };

  const feed = (text: string, ...args: string[]): Promise<string> => {
    if (started.api === undefined) throw new Error("the API has not started");
    return started.api.kubectl.feed(text, ...args);
  };

  /** Standard error of a command that must fail. */
  const refused = async (...args: string[]): Promise<string> => {
    if (started.api === undefined) throw new Error("the API has not started");
    const result = await started.api.kubectl(...args);
    expect(result.exitCode).not.toBe(0);
    return result.stderr.trim();
  };

  /** What `kubectl apply -f -` says about a manifest. */
  const apply = (manifest: unknown): Promise<string> =>
    feed(JSON.stringify(manifest), "apply", "-f", "-");

  test("kubectl version: shows the server's", async () => {
    expect(await kubectl("version")).toContain("Server Version: v1.36.0+kubun");
  });

  test("kubectl api-resources: lists every group with short names", async () => {
    const text = await kubectl("api-resources");
    const row = /^deployments\s+deploy\s+apps\/v1\s+true\s+Deployment$/m;
    expect(text).toMatch(row);
    expect(text).toMatch(/^endpointslices\s+discovery.k8s.io\/v1\s+true\s+EndpointSlice$/m);
    expect(await kubectl("api-versions")).toContain("rbac.authorization.k8s.io/v1\n");
  });

  test("kubectl explain: describes fields from OpenAPI", async () => {
    const text = await kubectl("explain", "deployment.spec.strategy");
    expect(text).toContain("KIND:       Deployment");
    expect(text).toContain("rollingUpdate\t<RollingUpdateDeployment>");
    expect(await kubectl("explain", "pod.spec.containers", "--recursive")).toContain(
      "livenessProbe",
    );
    expect(await refused("explain", "pod.spec.nothing")).toContain(
      'field "nothing" does not exist',
    );
  });

  test("kubectl get: shows all the output forms", async () => {
    await kubectl("create", "configmap", "forms", "--from-literal=key=value");
    expect(await kubectl("get", "cm", "forms")).toMatch(/NAME\s+DATA\s+AGE\nforms\s+1\s+\d+s/);
    expect(await kubectl("get", "cm", "forms", "-o", "name")).toBe("configmap/forms\n");
    expect(await kubectl("get", "cm", "forms", "-o", "yaml")).toContain("  key: value\n");
    const json = JSON.parse(await kubectl("get", "cm", "forms", "-o", "json")) as object;
    expect(json).toMatchObject({ kind: "ConfigMap", data: { key: "value" } });
    expect(await kubectl("get", "cm", "forms", "-o", "jsonpath={.data.key}")).toBe("value");
    const columns = "custom-columns=N:.metadata.name,V:.data.key";
    expect(await kubectl("get", "cm", "forms", "-o", columns)).toMatch(/N\s+V\nforms\s+value\n/);
    expect(await kubectl("get", "svc", "-o", "wide")).toMatch(/SELECTOR\nkubernetes\s+ClusterIP/);
    expect(await kubectl("get", "ns", "--show-labels")).toContain(
      "kubernetes.io/metadata.name=default",
    );
    expect(await kubectl("get", "all", "-A")).toContain("service/kubernetes");
  });

  test("kubectl get -w: prints changes as they come", async () => {
    const api = started.api;
    if (api === undefined) throw new Error("the API has not started");
    const watch = Bun.spawn(
      [realClient("kubectl"), "get", "configmaps", "-l", "watched=yes", "-w", "--no-headers"],
      {
        env: { KUBECONFIG: api.kubeconfig, HOME: join(api.kubeconfig, "..") },
        stdout: "pipe",
        stderr: "pipe",
      },
    );
    const seen: string[] = [];
    const reading = (async () => {
      const decoder = new TextDecoder();
      for await (const chunk of watch.stdout) seen.push(decoder.decode(chunk));
    })();
    await eventually(async () => {
      // The watch may begin after the first change: keep changing until it tells.
      await kubectl("create", "configmap", "watched", "--dry-run=client", "-o", "yaml").then(
        (manifest) => feed(manifest, "apply", "-f", "-"),
      );
      await kubectl("label", "cm", "watched", "watched=yes", "--overwrite");
      await kubectl(
        "annotate",
        "cm",
        "watched",
        `at=${seen.length}-${Bun.nanoseconds()}`,
        "--overwrite",
      );
      return seen.join("").includes("watched");
    });
    watch.kill();
    await reading;
  });

  test("kubectl apply: creates, configures and leaves unchanged", async () => {
    const manifest = (replicas: number): object => ({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "applied", labels: { tier: "web" } },
      spec: {
        replicas,
        selector: { matchLabels: { app: "applied" } },
        template: {
          metadata: { labels: { app: "applied" } },
          spec: { containers: [{ name: "app", image: "app:1", ports: [{ containerPort: 80 }] }] },
        },
      },
    });
    expect(await apply(manifest(1))).toBe("deployment.apps/applied created\n");
    expect(await apply(manifest(1))).toBe("deployment.apps/applied unchanged\n");
    expect(await apply(manifest(4))).toBe("deployment.apps/applied configured\n");
    const replicas = ["get", "deploy", "applied", "-o", "jsonpath={.spec.replicas}"];
    expect(await kubectl(...replicas)).toBe("4");
    await kubectl("scale", "deploy", "applied", "--replicas=2");
    expect(await kubectl(...replicas)).toBe("2");
    await kubectl("set", "image", "deploy/applied", "app=app:2");
    await kubectl("rollout", "restart", "deploy/applied");
    await kubectl("patch", "deploy", "applied", "-p", '{"spec":{"paused":true}}');
    const wide = await kubectl("get", "deploy", "applied", "-o", "wide");
    expect(wide).toMatch(/applied\s+0\/2\s+0\s+0\s+\d+s\s+app\s+app:2\s+app=applied/);
    expect(await kubectl("describe", "deploy", "applied")).toContain("Replicas:               2");
    expect(await kubectl("delete", "deploy", "applied")).toContain("deleted");
  });

  test("kubectl replace, label, annotate: change an object", async () => {
    await kubectl("create", "configmap", "changed", "--from-literal=a=1");
    const yaml = await kubectl("get", "cm", "changed", "-o", "yaml");
    const replaced = await feed(yaml.replace('a: "1"', 'a: "2"'), "replace", "-f", "-");
    expect(replaced).toBe("configmap/changed replaced\n");
    await kubectl("label", "cm", "changed", "colour=red");
    await kubectl("annotate", "cm", "changed", "note=hello");
    expect(await kubectl("get", "cm", "-l", "colour in (red)", "-o", "name")).toBe(
      "configmap/changed\n",
    );
    await kubectl("label", "cm", "changed", "colour-");
    expect(await kubectl("get", "cm", "-l", "colour", "-o", "name")).toBe("");
    const stale = yaml.replace('a: "1"', 'a: "3"');
    const api = started.api;
    const conflict = await api?.kubectl.feed(stale, "replace", "-f", "-").catch(String);
    expect(conflict).toContain("the object has been modified");
  });

  test("kubectl create: makes every kind that it has a command for", async () => {
    const commands = [
      "namespace made",
      "secret generic made --from-literal=a=b",
      "serviceaccount made",
      "deployment made --image=app:1 --replicas=2 --port=80",
      "service clusterip made --tcp=80:8080",
      "service nodeport made-np --tcp=80:8080",
      "job made --image=app:1 -- run it",
      "cronjob made --image=app:1 --schedule=@hourly -- run it",
      "ingress made --rule=example.com/path*=made:80",
      "role made --verb=get --resource=pods",
      "rolebinding made --role=made --serviceaccount=default:made",
      "clusterrole made --verb=get,list --resource=nodes",
      "clusterrolebinding made --clusterrole=made --user=me",
      "poddisruptionbudget made --selector=app=made --min-available=50%",
      "quota made --hard=pods=3,cpu=1500m",
      "priorityclass made --value=-7",
    ];
    for (const command of commands) {
      expect(await kubectl("create", ...command.split(" "))).toContain("created");
    }
    const cpu = await kubectl("get", "quota", "made", "-o", "jsonpath={.spec.hard.cpu}");
    expect(cpu).toBe("1500m");
    // From here on pods of this namespace would have to say how much of a processor they want.
    expect(await kubectl("delete", "quota", "made")).toContain("deleted");
    const budget = ["get", "pdb", "made", "-o", "jsonpath={.spec.minAvailable}"];
    expect(await kubectl(...budget)).toBe("50%");
    expect(await kubectl("expose", "deploy", "made", "--name=made-exposed")).toContain("exposed");
    expect(await kubectl("autoscale", "deploy", "made", "--max=3")).toContain("autoscaled");
    expect(await kubectl("get", "hpa.v1.autoscaling", "made", "-o", "name")).toContain("made");
    expect(await kubectl("describe", "ingress", "made")).toContain("made:80");
    expect(await kubectl("describe", "svc", "made-np")).toMatch(
      /NodePort:\s+80-8080\s+3\d{4}\/TCP/,
    );
  });

  test("kubectl run, describe, logs: know a pod that is on no node", async () => {
    expect(await kubectl("run", "lonely", "--image=app:1")).toBe("pod/lonely created\n");
    const pods = await kubectl("get", "pods", "-o", "wide");
    expect(pods).toMatch(/lonely\s+0\/1\s+Pending\s+0\s+\d+s\s+<none>\s+<none>/);
    expect(await kubectl("describe", "pod", "lonely")).toContain("QoS Class:        BestEffort");
    expect(await kubectl("logs", "lonely")).toBe("");
    expect(await refused("logs", "lonely", "-c", "other")).toContain(
      "container other is not valid for pod lonely",
    );
    expect(await refused("exec", "lonely", "--", "ls")).toContain(
      "pods/exec is not supported by this server yet",
    );
    expect(await kubectl("delete", "pod", "lonely")).toContain('pod "lonely" deleted');
  });

  test("kubectl logs: streams from the node agent", async () => {
    const spec = { nodeName: "node-1", containers: [{ name: "app", image: "app:1" }] };
    await apply({ apiVersion: "v1", kind: "Pod", metadata: { name: "placed" }, spec });
    expect(await kubectl("logs", "placed")).toBe("line one\nline two\n");
    await kubectl("delete", "pod", "placed", "--grace-period=0", "--force");
  });

  test("kubectl events: shows what happened", async () => {
    await apply({
      apiVersion: "v1",
      kind: "Event",
      metadata: { name: "happened.1", namespace: "default" },
      involvedObject: { kind: "Pod", namespace: "default", name: "p" },
      reason: "Tested",
      message: "it happened",
      type: "Warning",
      firstTimestamp: new Date(Date.now()).toISOString().replace(/\.\d+/, ""),
      lastTimestamp: new Date(Date.now()).toISOString().replace(/\.\d+/, ""),
      count: 2,
    });
    expect(await kubectl("get", "events")).toMatch(/Warning\s+Tested\s+pod\/p\s+it happened/);
    expect(await kubectl("events", "--types=Warning")).toContain("it happened");
  });

  test("kubectl delete namespace: ends when it is finalized", async () => {
    await kubectl("create", "namespace", "ending");
    await kubectl("delete", "namespace", "ending", "--wait=false");
    expect(await kubectl("get", "ns", "ending")).toMatch(/ending\s+Terminating/);
    expect(await refused("create", "cm", "late", "-n", "ending")).toContain(
      "unable to create new content in namespace ending because it is being terminated",
    );
    const path = "/api/v1/namespaces/ending/finalize";
    const body = JSON.stringify({ kind: "Namespace", metadata: { name: "ending" }, spec: {} });
    const headers = { "content-type": "application/json" };
    const finalized = await started.api?.request(path, { method: "PUT", body, headers });
    expect(await finalized?.text()).toContain('"name":"ending"');
    expect(await refused("get", "ns", "ending")).toBe(
      'Error from server (NotFound): namespaces "ending" not found',
    );
  });

  test("kubectl: tells errors in Kubernetes' words", async () => {
    expect(await refused("get", "pod", "nope")).toBe(
      'Error from server (NotFound): pods "nope" not found',
    );
    expect(await refused("get", "things")).toBe(
      'error: the server doesn\'t have a resource type "things"',
    );
    expect(await refused("create", "configmap", "Not_A_Name")).toContain(
      'ConfigMap "Not_A_Name" is invalid: metadata.name: Invalid value: "Not_A_Name"',
    );
    expect(await refused("get", "pods", "--field-selector=spec.nothing=1")).toContain(
      "field label not supported: spec.nothing",
    );
    expect(await refused("get", "pods", "-l", "a=b=c")).toContain("Bad");
    const unknown = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "u" }, dta: {} };
    const strict = await started.api?.kubectl
      .feed(JSON.stringify(unknown), "apply", "-f", "-")
      .catch(String);
    expect(strict).toContain('strict decoding error: unknown field "dta"');
    await kubectl("create", "service", "nodeport", "one", "--tcp=80:80", "--node-port=31999");
    expect(
      await refused("create", "service", "nodeport", "two", "--tcp=80:80", "--node-port=31999"),
    ).toContain("provided port is already allocated");
  });

  test("kubectl --token: is refused without a good one", async () => {
    expect(await refused("get", "pods", "--token=wrong")).toContain(
      "You must be logged in to the server",
    );
  });
});
