import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Pod } from "../api/index.ts";
import { CONFIG_MAPS, LEASES, NODES, PODS, SECRETS } from "../client/index.ts";
import { eventually } from "../lib/testing/eventually.ts";
import { IMAGE, NODE_NAME, TestNode } from "./testing/test-node.ts";

describe("a node", () => {
  let node: TestNode;

  beforeEach(async () => {
    node = await TestNode.create();
    await node.start();
  });
  afterEach(() => node.dispose());

  function statusOf(pod: { status?: { containerStatuses?: { name: string }[] } }) {
    const status = pod.status?.containerStatuses?.[0];
    if (status === undefined) throw new Error("the pod has no container status");
    return status as NonNullable<
      NonNullable<Awaited<ReturnType<TestNode["getPod"]>>["status"]>["containerStatuses"]
    >[number];
  }

  describe("createKubelet", () => {
    test("createKubelet: registers its node with status and lease", async () => {
      const found = await node.client.resource(NODES).get(NODE_NAME);
      expect(found.metadata.labels).toMatchObject({ "kubernetes.io/hostname": NODE_NAME });
      expect(found.status?.addresses).toContainEqual({ type: "InternalIP", address: "127.0.0.1" });
      expect(found.status?.allocatable).toMatchObject({ cpu: "4", pods: "819" });
      const ready = found.status?.conditions?.find(({ type }) => type === "Ready");
      expect(ready).toMatchObject({ status: "True", reason: "KubeletReady" });
      const lease = await node.client.resource(LEASES, "kube-node-lease").get(NODE_NAME);
      expect(lease.spec).toMatchObject({ holderIdentity: NODE_NAME, leaseDurationSeconds: 40 });
    });

    test("createKubelet: runs a pod, tells its status, and answers on its port", async () => {
      await node.createPod("web");
      const pod = await node.ready("web");
      expect(pod.status).toMatchObject({ phase: "Running", qosClass: "BestEffort" });
      expect(pod.status?.podIP).toStartWith("127.142.");
      const status = statusOf(pod);
      expect(status).toMatchObject({ ready: true, restartCount: 0, started: true });
      expect(status.containerID).toMatch(/^wasi:\/\/[0-9a-f]{64}$/);
      expect(status.imageID).toContain("@sha256:");
      expect(await node.fetch(pod, "/")).toContain("Hello");
      const wanted = ["Pulled", "Created", "Started"];
      await eventually(async () => {
        const reasons = await node.eventReasons("web");
        return wanted.every((reason) => reasons.includes(reason));
      });
    });

    test("createKubelet: a deleted pod is stopped, and its object and files go", async () => {
      await node.createPod("web");
      const { status } = await node.ready("web");
      await node.client.resource(PODS, "default").delete("web");
      await eventually(
        async () => (await node.client.resource(PODS, "default").list()).items.length === 0,
      );
      expect(await node.runtime.listPodSandboxes()).toEqual([]);
      expect(node.runtime.endpoint(status?.podIP ?? "", 8080)).toBeUndefined();
      await eventually(async () => (await node.eventReasons("web")).includes("Killing"));
    });

    test("createKubelet: restarts a container that ended, and keeps its last state", async () => {
      await node.createPod("web");
      const pod = await node.ready("web");
      await node.fetch(pod, "/exit?code=4");
      const again = await node.pod("web", (one) => statusOf(one).restartCount === 1, "restarted");
      const restarted = await node.ready(again.metadata.name ?? "");
      expect(statusOf(restarted).lastState?.terminated).toMatchObject({
        exitCode: 4,
        reason: "Error",
      });
      await node.fetch(restarted, "/exit?code=5");
      const waiting = await node.pod(
        "web",
        (one) => statusOf(one).state?.waiting?.reason === "CrashLoopBackOff",
        "backs off",
      );
      expect(waiting.status?.phase).toBe("Running");
      expect(statusOf(waiting).state?.waiting?.message).toContain("back-off 10s restarting failed");
    });

    test("createKubelet: a pod that is never restarted succeeds or fails", async () => {
      for (const [name, code, phase] of [
        ["good", 0, "Succeeded"],
        ["bad", 3, "Failed"],
      ] as const) {
        await node.createPod(name, { spec: { restartPolicy: "Never" } });
        await node.fetch(await node.ready(name), `/exit?code=${code}`);
        const pod = await node.pod(name, (one) => one.status?.phase === phase, phase);
        expect(statusOf(pod).state?.terminated?.exitCode).toBe(code);
      }
    });

    test("createKubelet: a new server adopts running pods and restarts none", async () => {
      await node.createPod("web");
      const before = await node.ready("web");
      await node.restart();
      const { pid = 0 } = (await node.runtime.listContainers())[0] ?? {};
      expect(pid).toBeGreaterThan(0);
      expect(await node.fetch(before, "/healthz")).toContain("ok");
      const after = await node.ready("web");
      expect(after.status?.containerStatuses).toEqual(before.status?.containerStatuses ?? []);
      expect(after.status?.podIP).toBe(before.status?.podIP ?? "");
      await node.fetch(after, "/exit?code=1");
      await node.pod("web", (one) => statusOf(one).restartCount === 1, "restarted");
    });

    test("createKubelet: a pod deleted while no server ran is removed by the next", async () => {
      await node.createPod("web");
      await node.ready("web");
      const restarted = node.restart.bind(node);
      await node.client.resource(PODS, "default").delete("web", { gracePeriodSeconds: 0 });
      await restarted();
      await eventually(async () => (await node.runtime.listPodSandboxes()).length === 0);
    });

    test("createKubelet: waits for a ConfigMap, then gives it as variables and files", async () => {
      await node.createPod("web", {
        container: {
          env: [
            { name: "FIRST", value: "one" },
            { name: "BOTH", value: "$(FIRST) and $(SECOND) and $$(FIRST)" },
            { name: "WORD", valueFrom: { configMapKeyRef: { name: "words", key: "word" } } },
            { name: "MY_IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
          ],
          volumeMounts: [
            { name: "config", mountPath: "/etc/config" },
            { name: "about", mountPath: "/etc/about" },
          ],
        },
        spec: {
          volumes: [
            { name: "config", configMap: { name: "words", optional: true } },
            {
              name: "about",
              downwardAPI: {
                items: [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }],
              },
            },
          ],
        },
      });
      const stuck = await node.pod(
        "web",
        (one) => statusOf(one).state?.waiting?.reason === "CreateContainerConfigError",
        "lacks the ConfigMap",
      );
      expect(statusOf(stuck).state?.waiting?.message).toBe('configmap "words" not found');
      const maps = node.client.resource(CONFIG_MAPS, "default");
      await maps.create({ metadata: { name: "words" }, data: { word: "hello" } });
      const pod = await node.ready("web");
      expect(await node.fetch(pod, "/env?name=WORD")).toContain("hello");
      expect(await node.fetch(pod, "/env?name=BOTH")).toContain("one and $(SECOND) and $(FIRST)");
      expect(await node.fetch(pod, "/env?name=MY_IP")).toContain(pod.status?.podIP ?? "?");
      expect(await node.fetch(pod, "/file?path=/etc/config/word")).toBe("hello");
      await maps.patch("words", { data: { word: "changed" } }, { type: "merge" });
      await eventually(
        async () => (await node.fetch(pod, "/file?path=/etc/config/word")) === "changed",
      );
      const labels = { tier: "front" };
      await node.client
        .resource(PODS, "default")
        .patch("web", { metadata: { labels } }, { type: "merge" });
      await eventually(
        async () => (await node.fetch(pod, "/file?path=/etc/about/labels")) === 'tier="front"',
      );
    });

    test("createKubelet: mounts Secrets, emptyDir and subPaths", async () => {
      await node.client.resource(SECRETS, "default").create({
        metadata: { name: "keys" },
        data: { token: Buffer.from("hush").toString("base64") },
      });
      await node.createPod("web", {
        container: {
          volumeMounts: [
            { name: "keys", mountPath: "/keys", readOnly: true },
            { name: "keys", mountPath: "/etc/app/token", subPath: "token" },
            { name: "scratch", mountPath: "/scratch", subPath: "a/b" },
          ],
        },
        spec: {
          volumes: [
            { name: "keys", secret: { secretName: "keys" } },
            { name: "scratch", emptyDir: {} },
          ],
        },
      });
      const pod = await node.ready("web");
      expect(await node.fetch(pod, "/file?path=/keys/token")).toBe("hush");
      expect(await node.fetch(pod, "/file?path=/etc/app/token")).toBe("hush");
      expect(await node.fetch(pod, "/file?path=/../keys/token")).not.toBe("hush");
    });

    test("createKubelet: a container added to a running pod shares its volumes", async () => {
      const host = join(node.root, "host");
      const volumes = [{ name: "host", hostPath: { path: host, type: "DirectoryOrCreate" } }];
      const volumeMounts = [{ name: "host", mountPath: "/host" }];
      await node.createPod("web", {
        container: { volumeMounts, lifecycle: { postStart: { sleep: { seconds: 0 } } } },
        spec: { volumes },
      });
      const running = await node.ready("web");
      writeFileSync(join(host, "note"), "from the host");
      expect(await node.fetch(running, "/file?path=/host/note")).toBe("from the host");
      const pods = node.client.resource(PODS, "default");
      const options = { type: "strategic", subresource: "ephemeralcontainers" } as const;
      const debugging = { name: "debugger", image: IMAGE, volumeMounts };
      await pods.patch("web", { spec: { ephemeralContainers: [debugging] } }, options);
      const debuggerOf = ({ status }: Pod) => status?.ephemeralContainerStatuses?.[0];
      const hasBegun = (one: Pod): boolean => debuggerOf(one)?.containerID !== undefined;
      const added = await node.pod("web", hasBegun, "debugger began");
      expect(debuggerOf(added)?.restartCount).toBe(0);
      expect(added.status?.phase).toBe("Running");
      const logs = await node.kubelet.app.request("/containerLogs/default/web/debugger");
      expect([logs.status, typeof (await logs.text())]).toEqual([200, "string"]);
      const withPorts = { ...debugging, name: "other", ports: [{ containerPort: 9090 }] };
      const refused = pods.patch("web", { spec: { ephemeralContainers: [withPorts] } }, options);
      const why = await refused.catch((error: unknown) => (error as Error).message);
      expect(why).toContain("cannot be set for an Ephemeral Container");
    });

    test("createKubelet: an image that is not there backs off, with its reason", async () => {
      await node.createPod("web", { container: { image: "127.0.0.1:1/none:v1" } });
      const failing = await node.pod(
        "web",
        (one) => /ErrImagePull|ImagePullBackOff/.test(statusOf(one).state?.waiting?.reason ?? ""),
        "cannot pull",
      );
      expect(failing.status?.phase).toBe("Pending");
      await node.pod(
        "web",
        (one) => statusOf(one).state?.waiting?.reason === "ImagePullBackOff",
        "backs off",
      );
      await node.createPod("never", { container: { image: "x:v1", imagePullPolicy: "Never" } });
      await node.pod(
        "never",
        (one) => statusOf(one).state?.waiting?.reason === "ErrImageNeverPull",
        "never pulls",
      );
    });

    test("createKubelet: readiness follows its probe, and failed liveness restarts", async () => {
      const probe = { periodSeconds: 1, failureThreshold: 1 };
      await node.createPod("web", {
        container: {
          ports: [{ containerPort: 8080, name: "http" }],
          readinessProbe: { ...probe, httpGet: { path: "/healthz", port: "http" } },
          livenessProbe: {
            ...probe,
            initialDelaySeconds: 1,
            httpGet: { path: "/nope", port: 8080 },
          },
        },
      });
      const { status } = await node.ready("web");
      await node.pod("web", (one) => statusOf(one).restartCount > 0, "is restarted");
      const told = [true, false].map((ready) => `web ${ready} ${status?.podIP}`);
      expect(node.readiness.slice(0, 2)).toEqual(told);
      const reasons = await node.eventReasons("web");
      expect(reasons).toContain("Unhealthy");
      expect(reasons).toContain("Killing");
    });

    test("createKubelet: init containers run first, and a tcpSocket probe is asked", async () => {
      await node.createPod("web", {
        container: { readinessProbe: { tcpSocket: { port: 8080 } } },
        spec: {
          initContainers: [{ name: "setup", image: IMAGE, ports: [{ containerPort: 9000 }] }],
        },
      });
      const waiting = await node.pod(
        "web",
        (one) => one.status?.initContainerStatuses?.[0]?.state?.running !== undefined,
        "runs its init container",
      );
      expect(statusOf(waiting).state?.waiting?.reason).toBe("PodInitializing");
      await node.fetch(waiting, "/exit?code=0", 9000);
      const pod = await node.ready("web");
      expect(pod.status?.initContainerStatuses?.[0]?.state?.terminated?.exitCode).toBe(0);
    });

    test("createKubelet: terminateAll ends the programs, the next server runs them", async () => {
      await node.createPod("web");
      await node.ready("web");
      await node.kubelet.terminateAll();
      const [ended] = await node.runtime.listContainers();
      expect(ended?.state).toBe("exited");
      await node.restart();
      const pod = await node.pod("web", (one) => statusOf(one).restartCount === 1, "runs again");
      expect(pod.metadata.deletionTimestamp).toBeUndefined();
      await node.ready("web");
    });

    test("createKubelet: a RuntimeClass chooses how the module runs", async () => {
      const wagi = join(import.meta.dir, "..", "..", "workloads", "hello-wagi", "hello-wagi.wasm");
      await node.images.pushModule("hello-wagi:v1", await Bun.file(wagi).bytes());
      const container = { image: "hello-wagi:v1" };
      await node.createPod("cgi", { container, spec: { runtimeClassName: "wagi" } });
      const pod = await node.ready("cgi");
      const answers = [await node.fetch(pod, "/"), await node.fetch(pod, "/")];
      expect(answers[0]?.length).toBeGreaterThan(0);
      expect(answers[1]?.length).toBeGreaterThan(0);
    });

    test("createKubelet: refuses a pod that does not fit", async () => {
      await node.createPod("huge", { container: { resources: { requests: { cpu: "64" } } } });
      const pod = await node.pod("huge", (one) => one.status?.phase === "Failed", "is refused");
      expect(pod.status?.reason).toBe("OutOfcpu");
    });

    test("createKubelet: serves logs, followed to the end of the container", async () => {
      await node.createPod("web");
      const pod = await node.ready("web");
      const path = "http://kubelet/containerLogs/default/web/app";
      const follow = await node.kubelet.app.request(`${path}?follow=true&timestamps=true`);
      expect(follow.status).toBe(200);
      const followed = follow.text();
      await node.fetch(pod, "/exit?code=0");
      expect(await followed).toMatch(/^\d{4}-\d\d-\d\dT\S+Z \S/);
      await node.pod("web", (one) => statusOf(one).restartCount === 1, "restarted");
      const previous = await node.kubelet.app.request(`${path}?previous=true&tailLines=1`);
      expect((await previous.text()).trimEnd().split("\n")).toHaveLength(1);
      const missing = await node.kubelet.app.request(`${path}x`);
      expect(missing.status).toBe(400);
    });
  });
});

describe("a node of a larger cluster", () => {
  let node: TestNode;
  afterEach(() => node.dispose());

  const readiness = async (): Promise<string | undefined> => {
    const { status } = await node.client.resource(NODES).get(NODE_NAME);
    return status?.conditions?.find(({ type }) => type === "Ready")?.status;
  };

  test("createKubelet: waits for the range that the cluster gives the node", async () => {
    node = await TestNode.create({ ownRange: "no" });
    const started = node.start();
    const nodes = node.client.resource(NODES);
    const found = await eventually(() => nodes.get(NODE_NAME).catch(() => undefined));
    expect(found.spec?.podCIDR).toBeUndefined();
    expect(found.metadata.annotations).toMatchObject({
      "kubun.dev/peer-address": "127.0.0.1:10250",
    });
    await node.createPod("web");
    expect(await readiness()).toBeUndefined();
    const spec = { podCIDR: "127.142.16.0/20", podCIDRs: ["127.142.16.0/20"] };
    await nodes.patch(NODE_NAME, { spec }, { type: "merge" });
    await started;
    expect(await readiness()).toBe("True");
    const pod = await node.ready("web");
    expect(pod.status?.podIP).toMatch(/^127\.142\.16\./);
  });

  test("createKubelet: a pod that comes while it asks which it has is not gone", async () => {
    node = await TestNode.create();
    let asked = 0;
    node.onAnswer(async ({ method, url }) => {
      const { pathname, searchParams } = new URL(url);
      const isInformer = searchParams.has("limit") || searchParams.has("watch");
      if (method !== "GET" || pathname !== "/api/v1/pods" || isInformer || asked++ > 0) return;
      await node.createPod("late");
      await eventually(async () => (await node.runtime.listPodSandboxes()).length === 1);
    });
    await node.start();
    expect(asked).toBeGreaterThan(0);
    await node.ready("late");
    expect(await node.runtime.listPodSandboxes()).toHaveLength(1);
  });

  test("createKubelet: cut off, it keeps its pods; back, the deleted ones end first", async () => {
    node = await TestNode.create();
    await node.start();
    for (const name of ["kept", "evicted", "gone"]) await node.createPod(name);
    const [kept, , gone] = await Promise.all(
      ["kept", "evicted", "gone"].map((name) => node.ready(name)),
    );
    node.cut();
    const pods = node.client.resource(PODS, "default");
    await pods.delete("evicted");
    await pods.delete("gone", { gracePeriodSeconds: 0 });
    const conditions = [{ type: "Ready", status: "Unknown" }];
    const options = { type: "strategic", subresource: "status" } as const;
    await node.client.resource(NODES).patch(NODE_NAME, { status: { conditions } }, options);
    if (kept === undefined || gone === undefined) throw new Error("no pod");
    expect(await node.fetch(kept, "/")).toContain("Hello");
    expect(await node.fetch(gone, "/")).toContain("Hello");
    node.mend();
    await eventually(async () => (await readiness()) === "True");
    const running = (await node.runtime.listContainers()).filter(
      ({ state }) => state === "running",
    );
    expect(running.map(({ podUid }) => podUid)).toEqual([kept.metadata.uid ?? ""]);
    expect(await node.fetch(kept, "/")).toContain("Hello");
    await eventually(async () => (await pods.list()).items.length === 1);
  });
});
