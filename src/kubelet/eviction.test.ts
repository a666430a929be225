import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Pod } from "../api/index.ts";
import { NODE_NAME, TestNode } from "./testing/test-node.ts";

const MIB = 1024 * 1024;

describe("a node whose pods fill its disk", () => {
  let node: TestNode;

  beforeAll(async () => {
    node = await TestNode.create({ localStorageIntervalMs: 100 });
    await node.start();
  });

  afterAll(() => node.dispose());

  const failed = ({ status }: Pod): boolean => status?.phase === "Failed";

  test("evicts a pod whose emptyDir exceeds its size, in the words of Kubernetes", async () => {
    const volumes = [{ name: "cache", emptyDir: { sizeLimit: "1Mi" } }];
    const volumeMounts = [{ name: "cache", mountPath: "/cache" }];
    await node.createPod("full", { spec: { volumes }, container: { volumeMounts } });
    const running = await node.ready("full");
    const volume = join(node.root, "kubelet/pods", running.metadata.uid ?? "", "volumes/cache");
    writeFileSync(join(volume, "file"), Buffer.alloc(2 * MIB, 1));

    const pod = await node.pod("full", failed, "is evicted");
    const message = 'Usage of EmptyDir volume "cache" exceeds the limit "1Mi". ';
    expect(pod.status).toMatchObject({ phase: "Failed", reason: "Evicted", message });
    const target = { type: "DisruptionTarget", status: "True", reason: "TerminationByKubelet" };
    expect(pod.status?.conditions).toContainEqual(expect.objectContaining({ ...target, message }));
    expect(pod.status?.containerStatuses?.[0]?.state?.terminated).toBeDefined();
    expect(existsSync(volume)).toBe(false);
    await node.eventSaying("full", "Evicted", message);
  });

  test("evicts a pod whose log exceeds its limit, and does not take it back", async () => {
    const resources = { limits: { "ephemeral-storage": "1Mi" } };
    await node.createPod("talks", { container: { resources } });
    const { metadata } = await node.ready("talks");
    const log = join(node.root, "logs", `default_talks_${metadata.uid}`, "app", "0.log.1");
    writeFileSync(log, Buffer.alloc(2 * MIB, 1));

    const pod = await node.pod("talks", failed, "is evicted");
    const message = "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ";
    expect(pod.status).toMatchObject({ reason: "Evicted", message });
    await node.restart();
    const after = await node.getPod("talks");
    expect(after.status).toMatchObject({ phase: "Failed", reason: "Evicted", message });
    expect(after.spec?.nodeName).toBe(NODE_NAME);
  });
});
