import { describe, expect, test } from "bun:test";
import type { Container, Pod, Service } from "../api/index.ts";
import { containerEnvironment } from "./environment.ts";
import { expandVariables } from "./expansion.ts";

describe("expandVariables", () => {
  test("expandVariables: replaces known names, keeps unknown ones, and unescapes $$", () => {
    const lookup = (name: string) => ({ A: "1", B: "$(A)" })[name];
    const cases: [string, string][] = [
      ["$(A)", "1"],
      ["x$(A)y$(A)", "x1y1"],
      ["$(B)", "$(A)"],
      ["$(NONE)", "$(NONE)"],
      ["$$(A)", "$(A)"],
      ["$$$(A)", "$1"],
      ["$A $", "$A $"],
      ["$(A", "$(A"],
    ];
    for (const [text, expanded] of cases) expect(expandVariables(text, lookup)).toBe(expanded);
  });
});

describe("containerEnvironment", () => {
  const pod: Pod = {
    metadata: {
      name: "web-0",
      namespace: "shop",
      uid: "u-1",
      labels: { "app.kubernetes.io/name": "web" },
      annotations: { note: "hi" },
    },
    spec: { nodeName: "node-1", serviceAccountName: "builder", containers: [] },
  };

  function environment(container: Partial<Container>, services: Service[] = []) {
    return new Map(
      containerEnvironment({
        pod,
        container: { name: "app", ...container },
        addresses: { podIp: "127.42.0.9", hostIp: "127.0.0.1" },
        allocatable: { cpuMillis: 2000, memoryBytes: 2 ** 30, ephemeralStorageBytes: 2 ** 30 },
        references: {
          configMap: (name) =>
            name === "map" ? { metadata: {}, data: { KEY: "v", "bad key": "x" } } : undefined,
          secret: (name) =>
            name === "key" ? { metadata: {}, data: { S: "aHVzaA==" } } : undefined,
        },
        services,
      }),
    );
  }

  function failure(container: Partial<Container>): string {
    try {
      environment(container);
      return "";
    } catch (error) {
      return (error as Error).message;
    }
  }

  test("containerEnvironment: fields and resources of the pod", () => {
    const field = (name: string, fieldPath: string) => ({
      name,
      valueFrom: { fieldRef: { fieldPath } },
    });
    const resource = (name: string, of: string, divisor?: string) => ({
      name,
      valueFrom: {
        resourceFieldRef: { resource: of, ...(divisor === undefined ? {} : { divisor }) },
      },
    });
    const env = environment({
      resources: { limits: { cpu: "1500m" }, requests: { memory: "64Mi" } },
      env: [
        field("NAME", "metadata.name"),
        field("LABEL", "metadata.labels['app.kubernetes.io/name']"),
        field("NONE", "metadata.annotations['none']"),
        field("IP", "status.podIP"),
        field("NODE", "spec.nodeName"),
        field("SA", "spec.serviceAccountName"),
        resource("CPU", "limits.cpu"),
        resource("MILLIS", "limits.cpu", "1m"),
        resource("MEMORY", "requests.memory", "1Mi"),
        resource("NODE_MEMORY", "limits.memory", "1Mi"),
      ],
    });
    expect(Object.fromEntries(env)).toEqual({
      HOSTNAME: "web-0",
      NAME: "web-0",
      LABEL: "web",
      NONE: "",
      IP: "127.42.0.9",
      NODE: "node-1",
      SA: "builder",
      CPU: "2",
      MILLIS: "1500",
      MEMORY: "64",
      NODE_MEMORY: "1024",
    });
  });

  test("containerEnvironment: envFrom with a prefix, and env over it", () => {
    const env = environment({
      envFrom: [{ prefix: "P_", configMapRef: { name: "map" } }, { secretRef: { name: "key" } }],
      env: [
        { name: "S", value: "mine" },
        { name: "T", value: "$(P_KEY)-$(S)" },
      ],
    });
    expect(env.get("P_KEY")).toBe("v");
    expect(env.has("P_bad key")).toBe(false);
    expect(env.get("T")).toBe("v-mine");
  });

  test("containerEnvironment: says what is missing in Kubernetes' words", () => {
    const ref = (name: string, key: string, optional = false) => ({
      env: [{ name: "X", valueFrom: { configMapKeyRef: { name, key, optional } } }],
    });
    expect(failure(ref("none", "k"))).toBe('configmap "none" not found');
    expect(failure(ref("map", "k"))).toBe("couldn't find key k in ConfigMap shop/map");
    expect(failure(ref("none", "k", true))).toBe("");
    expect(failure({ envFrom: [{ secretRef: { name: "none" } }] })).toBe('secret "none" not found');
  });

  test("containerEnvironment: Services of the namespace, unless links are off", () => {
    const service = (name: string, namespace: string, clusterIP: string): Service => ({
      metadata: { name, namespace },
      spec: { clusterIP, ports: [{ name: "http", port: 80 }] },
    });
    const services = [
      service("kubernetes", "default", "127.43.0.1"),
      service("my-db", "shop", "127.43.0.5"),
      service("headless", "shop", "None"),
      service("other", "elsewhere", "127.43.0.6"),
    ];
    const env = environment({ env: [{ name: "URL", value: "$(MY_DB_PORT)" }] }, services);
    expect(env.get("KUBERNETES_SERVICE_HOST")).toBe("127.43.0.1");
    expect(env.get("MY_DB_SERVICE_PORT_HTTP")).toBe("80");
    expect(env.get("MY_DB_PORT_80_TCP_ADDR")).toBe("127.43.0.5");
    expect(env.get("URL")).toBe("tcp://127.43.0.5:80");
    expect([...env.keys()].filter((name) => /HEADLESS|OTHER/.test(name))).toEqual([]);
  });
});
