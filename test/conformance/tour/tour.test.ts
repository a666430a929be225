import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { eventually } from "../../../src/lib/testing/eventually.ts";
import { startTour } from "./tour-cluster.ts";
import type { TourCluster } from "./tour-cluster.ts";

const CHART = join(import.meta.dir, "testdata/chart");
const testdata = (name: string): string => join(import.meta.dir, "testdata", name);
const HELM_WAIT = ["--wait", "--timeout", "40s"];
const WAIT = "--timeout=40s";
const TEST_TIMEOUT_MS = 60_000;
let tour: TourCluster;

/** One field of an object. */
const field = (path: string, ...what: string[]): Promise<string> =>
  tour.kubectl.ok("get", ...what, "-o", `jsonpath=${path}`);

beforeAll(async () => {
  tour = await startTour();
}, TEST_TIMEOUT_MS);
afterAll(() => tour[Symbol.asyncDispose](), TEST_TIMEOUT_MS);

describe("a first course", () => {
  test(
    "a Deployment before its Secret waits for it, and is then reached at a NodePort",
    async () => {
      const { kubectl } = tour;
      await kubectl.ok("apply", "-f", testdata("demo.yaml"));
      await eventually(async () => {
        const pods = await kubectl.ok("get", "pods", "-l", "app=demo");
        return /0\/1\s+CreateContainerConfigError/.test(pods);
      });
      const told = await kubectl.ok("describe", "pod", "-l", "app=demo");
      expect(told).toContain('Error: secret "demo" not found');
      await kubectl.ok("create", "secret", "generic", "demo", "--from-literal=password=opens");
      await kubectl.ok("rollout", "status", "deployment/demo", WAIT);
      await kubectl.ok("expose", "deployment", "demo", "--type=NodePort", "--port=8080");
      const port = await field("{.spec.ports[0].nodePort}", "service", "demo");
      const node = await field("{.items[0].status.addresses[0].address}", "nodes");
      expect(await (await fetch(`http://${node}:${port}/`)).text()).toContain("this is demo-");
      await kubectl.ok("delete", "-f", testdata("demo.yaml"));
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "kubectl create deployment without a port, and expose, make a server answer",
    async () => {
      const { kubectl, server } = tour;
      await kubectl.ok("create", "deployment", "plain", "--image=web:v1", "--replicas=2");
      await kubectl.ok("expose", "deployment", "plain", "--port=80", "--target-port=8080");
      await kubectl.ok("create", "ingress", "plain", "--rule=plain.example/*=plain:80");
      await kubectl.ok("wait", "--for=condition=Available", "deployment/plain", WAIT);
      await eventually(async () => {
        const headers = { host: "plain.example" };
        return (await (await fetch(server.ingress, { headers })).text()).includes("this is plain-");
      });
      await kubectl.ok("delete", "deployment,service,ingress", "plain");
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "kubectl apply takes folders and kustomizations, and deletes them",
    async () => {
      const { kubectl, folder } = tour;
      const map = (name: string): string =>
        `{apiVersion: v1, kind: ConfigMap, metadata: {name: ${name}}, data: {key: value}}`;
      const path = folder({ "one.yaml": map("one"), "two.yaml": map("two") });
      expect(await kubectl.ok("apply", "-f", path)).toBe(
        "configmap/one created\nconfigmap/two created\n",
      );
      await kubectl.ok("delete", "-f", path);
      const kustomized = folder({
        "base.yaml": map("base"),
        "kustomization.yaml":
          "{resources: [base.yaml], namePrefix: dev-, labels: [{pairs: {env: dev}}]}",
      });
      expect(await kubectl.ok("apply", "-k", kustomized)).toBe("configmap/dev-base created\n");
      expect(await kubectl.ok("get", "cm", "-l", "env=dev", "-o", "name")).toContain("dev-base");
      await kubectl.ok("delete", "-k", kustomized);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "kubectl apply --server-side tells whose field it is, and takes it by force",
    async () => {
      const { folder, kubectl, refused } = tour;
      const map = (value: string): string =>
        `{apiVersion: v1, kind: ConfigMap, metadata: {name: shared}, data: {key: ${value}}}`;
      const path = folder({ "ours.yaml": map("ours"), "theirs.yaml": map("theirs") });
      const apply = (name: string, ...more: string[]): string[] => [
        "apply",
        "--server-side",
        "-f",
        join(path, name),
        ...more,
      ];
      expect(await kubectl.ok(...apply("ours.yaml"))).toBe("configmap/shared serverside-applied\n");
      const theirs = apply("theirs.yaml", "--field-manager=other");
      expect(await refused(...theirs)).toContain(
        'Apply failed with 1 conflict: conflict with "kubectl": .data.key',
      );
      await kubectl.ok(...theirs, "--force-conflicts");
      expect(await field("{.data.key}", "cm", "shared")).toBe("theirs");
      const managers = await field("{.metadata.managedFields[*].manager}", "cm", "shared");
      expect(managers.split(" ")).toContain("other");
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "an object with a finalizer goes when the finalizer does",
    async () => {
      const { folder, kubectl } = tour;
      const path = folder({
        "held.yaml":
          "{apiVersion: v1, kind: ConfigMap, metadata: {name: held, finalizers: [example.com/hold]}}",
      });
      await kubectl.ok("apply", "-f", path);
      await kubectl.ok("delete", "cm", "held", "--wait=false");
      expect(await field("{.metadata.deletionTimestamp}", "cm", "held")).not.toBe("");
      await kubectl.ok("patch", "cm", "held", "--type=json", "-p", REMOVE_FINALIZERS);
      await kubectl.ok("wait", "--for=delete", "cm/held", WAIT);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "a namespace's quota refuses what is over it, and says by how much",
    async () => {
      const { kubectl, refused } = tour;
      await kubectl.ok("create", "namespace", "small");
      await kubectl.ok("create", "quota", "few", "--hard=configmaps=2", "-n", "small");
      await kubectl.ok(
        "wait",
        "--for=jsonpath={.status.hard.configmaps}=2",
        "quota/few",
        "-n",
        "small",
      );
      await kubectl.ok("create", "configmap", "first", "-n", "small");
      expect(await refused("create", "configmap", "second", "-n", "small")).toContain(
        "exceeded quota: few, requested: configmaps=1, used: configmaps=2, limited: configmaps=2",
      );
      await kubectl.ok("delete", "namespace", "small");
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "a token of a ServiceAccount may do what its Role says",
    async () => {
      const { kubectl, refused } = tour;
      await kubectl.ok("create", "serviceaccount", "reader");
      await kubectl.ok("create", "role", "reader", "--verb=get,list", "--resource=configmaps");
      await kubectl.ok(
        "create",
        "rolebinding",
        "reader",
        "--role=reader",
        "--serviceaccount=default:reader",
      );
      const token = `--token=${(await kubectl.ok("create", "token", "reader")).trim()}`;
      const anonymous = ["--kubeconfig=/dev/null", `--server=${tour.server.url}`];
      const asReader = [...anonymous, "--insecure-skip-tls-verify", token];
      expect(await kubectl.ok(...asReader, "auth", "whoami")).toContain(
        "system:serviceaccount:default:reader",
      );
      await kubectl.ok(...asReader, "get", "configmaps");
      expect(await refused(...asReader, "get", "secrets")).toContain(
        'User "system:serviceaccount:default:reader" cannot list resource "secrets"',
      );
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "a CustomResourceDefinition makes a kind of its own",
    async () => {
      const { folder, kubectl, refused } = tour;
      await kubectl.ok("apply", "-f", testdata("crontabs.yaml"));
      await kubectl.ok(
        "wait",
        "--for=condition=Established",
        "crd/crontabs.stable.example.com",
        WAIT,
      );
      const crontab = (replicas: string): string =>
        `{apiVersion: stable.example.com/v1, kind: CronTab, metadata: {name: mine}, spec: {cron: "* * * * 5", replicas: ${replicas}}}`;
      await kubectl.ok("apply", "-f", folder({ "mine.yaml": crontab("3") }));
      expect(await kubectl.ok("get", "ct")).toMatch(
        /NAME\s+SPEC\s+REPLICAS\s+AGE\nmine\s+\* \* \* \* 5\s+3/,
      );
      const wrong = await refused("apply", "-f", folder({ "wrong.yaml": crontab('"many"') }));
      expect(wrong).toContain("spec.replicas");
      await kubectl.ok("scale", "ct/mine", "--replicas=5");
      expect(await field("{.spec.replicas}", "crontab", "mine")).toBe("5");
      expect(await kubectl.ok("explain", "crontab.spec.cron")).toContain("When it runs");
      await kubectl.ok("delete", "crd", "crontabs.stable.example.com", WAIT);
      expect(await refused("get", "ct")).toMatch(
        /doesn't have a resource type|could not find the requested resource/,
      );
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "helm installs, upgrades, rolls back and removes a chart with hooks",
    async () => {
      const { helm, kubectl } = tour;
      await helm("install", "greeter", CHART, ...HELM_WAIT);
      expect(await field("{.status.phase}", "pod", "greeter-migrate")).toBe("Succeeded");
      expect(await field("{.status.readyReplicas}", "deployment", "greeter")).toBe("1");
      await helm("upgrade", "greeter", CHART, "--set", "replicas=2,greeting=ciao", ...HELM_WAIT);
      expect(await field("{.data.greeting}", "configmap", "greeter")).toBe("ciao");
      expect(await field("{.status.readyReplicas}", "deployment", "greeter")).toBe("2");
      await helm("rollback", "greeter", "1", ...HELM_WAIT);
      expect(await field("{.data.greeting}", "configmap", "greeter")).toBe("hello");
      expect(await field("{.spec.replicas}", "deployment", "greeter")).toBe("1");
      expect(await helm("history", "greeter")).toMatch(/^3\s.*deployed.*Rollback to 1/m);
      await helm("uninstall", "greeter", ...HELM_WAIT);
      expect(await kubectl.ok("get", "deployments,services,configmaps")).not.toContain("greeter");
      expect(await helm("list", "--short")).toBe("");
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "an informer of Kubernetes' JavaScript client hears of every change",
    async () => {
      const { kubectl, server } = tour;
      const program = join(import.meta.dir, "watch-config-maps.ts");
      await kubectl.ok("create", "namespace", "watched");
      const informer = Bun.spawn([process.execPath, program, server.kubeconfig, "watched"], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      let heard = "";
      const reading = (async () => {
        for await (const chunk of informer.stdout) heard += new TextDecoder().decode(chunk);
      })();
      await eventually(() => heard.includes("add kube-root-ca.crt"));
      await kubectl.ok("create", "configmap", "new", "-n", "watched");
      await kubectl.ok("label", "configmap", "new", "a=b", "-n", "watched");
      await kubectl.ok("delete", "configmap", "new", "-n", "watched");
      await eventually(() => /add new\nupdate new\ndelete new\n/.test(heard));
      informer.kill();
      await reading;
    },
    TEST_TIMEOUT_MS,
  );
});

const REMOVE_FINALIZERS = JSON.stringify([{ op: "remove", path: "/metadata/finalizers" }]);
