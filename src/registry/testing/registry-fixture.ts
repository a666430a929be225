import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ApiResource, NAMESPACES } from "../../api/index.ts";
import type { KubeObject } from "../../apimachinery/index.ts";
import { ManualClock, SeededRandom, silentLogger } from "../../lib/index.ts";
import { createDisk, systemClock, systemRandom } from "../../os/index.ts";
import { openStore, type Store } from "../../store/index.ts";
import { definitionOf } from "../lookup.ts";
import { createRegistry, type Registry, type RegistryOptions } from "../registry.ts";
import type { ResourceRegistry } from "../resource-registry.ts";
import { MemoryStore } from "../../lib/testing/memory-store.ts";

export interface RegistryFixture<S extends Store = Store> {
  readonly registry: Registry;
  readonly store: S;
  readonly clock: ManualClock;
  resource(resource: ApiResource<KubeObject>): ResourceRegistry;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A registry over a store in memory, with the namespace "default". */
export async function memoryRegistry(
  options: Partial<RegistryOptions> = {},
): Promise<RegistryFixture<MemoryStore>> {
  return fixtureOver(new MemoryStore(), () => Promise.resolve(), options);
}

/** A registry over the real store in a temporary directory, with the namespace "default". */
export async function durableRegistry(): Promise<RegistryFixture> {
  const directory = mkdtempSync(join(tmpdir(), "kubun-registry-"));
  const store = await openStore({
    directory,
    disk: createDisk(),
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
  });
  return fixtureOver(store, async () => {
    await store.close();
    rmSync(directory, { recursive: true, force: true });
  });
}

async function fixtureOver<S extends Store>(
  store: S,
  dispose: () => Promise<void>,
  options: Partial<RegistryOptions> = {},
): Promise<RegistryFixture<S>> {
  const clock = new ManualClock();
  const registry = createRegistry({
    store,
    clock,
    random: new SeededRandom(7),
    logger: silentLogger,
    serviceCidr: "127.43.0.0/16",
    nodePortRange: { from: 30_000, to: 32_767 },
    ...options,
  });
  const resource = (wanted: ApiResource<KubeObject>): ResourceRegistry =>
    registry.resource(definitionOf(wanted));
  if (options.store === undefined) {
    await resource(NAMESPACES).create("", {
      kind: "Namespace",
      apiVersion: "v1",
      metadata: { name: "default" },
    });
  }
  return { registry, store, clock, resource, [Symbol.asyncDispose]: dispose };
}

export function configMap(name: string, data: Record<string, string> = {}): KubeObject {
  return { kind: "ConfigMap", apiVersion: "v1", metadata: { name }, data };
}

export function pod(name: string, spec: Record<string, unknown> = {}): KubeObject {
  return {
    kind: "Pod",
    apiVersion: "v1",
    metadata: { name },
    spec: {
      containers: [
        {
          name: "app",
          image: "app:1",
          imagePullPolicy: "IfNotPresent",
          terminationMessagePath: "/dev/termination-log",
          terminationMessagePolicy: "File",
        },
      ],
      restartPolicy: "Always",
      dnsPolicy: "ClusterFirst",
      terminationGracePeriodSeconds: 30,
      ...spec,
    },
  };
}
