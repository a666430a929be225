import { describe, expect, test } from "bun:test";
import type { Ingress, Service } from "../api/index.ts";
import { describeServiceRoutes, listServiceRoutes } from "./service.ts";

const INGRESS_URL = "http://127.0.0.1:8080";

function service(spec: Service["spec"]): Service {
  return { metadata: { name: "web", namespace: "default" }, ...(spec ? { spec } : {}) };
}

function ingress(host: string | undefined, path: string, backend: string): Ingress {
  return {
    metadata: { name: "web" },
    spec: {
      rules: [
        {
          ...(host === undefined ? {} : { host }),
          http: {
            paths: [
              { path, pathType: "Prefix", backend: { service: { name: backend, port: {} } } },
            ],
          },
        },
      ],
    },
  };
}

describe("listServiceRoutes", () => {
  test("listServiceRoutes prefers the NodePort, then Ingress, then the ClusterIP", () => {
    const routes = listServiceRoutes(
      service({ clusterIP: "127.43.0.9", ports: [{ port: 80, nodePort: 30_080 }] }),
      [ingress(undefined, "/", "web")],
      INGRESS_URL,
    );
    expect(routes).toEqual([
      { via: "NodePort", url: "http://127.0.0.1:30080" },
      { via: "Ingress", url: "http://127.0.0.1:8080" },
      { via: "ClusterIP", url: "http://127.43.0.9:80" },
    ]);
  });

  test("listServiceRoutes prefers the load balancer to all", () => {
    const balanced: Service = {
      ...service({ type: "LoadBalancer", ports: [{ port: 80, nodePort: 30_080 }] }),
      status: { loadBalancer: { ingress: [{ ip: "192.0.2.7" }] } },
    };
    expect(listServiceRoutes(balanced, [], INGRESS_URL)).toEqual([
      { via: "LoadBalancer", url: "http://192.0.2.7:80" },
      { via: "NodePort", url: "http://127.0.0.1:30080" },
    ]);
  });

  test("listServiceRoutes tells the host and path an Ingress rule asks for", () => {
    const routes = listServiceRoutes(
      service({ clusterIP: "None", ports: [{ port: 80 }] }),
      [ingress("web.example", "/app", "web"), ingress(undefined, "/", "other")],
      INGRESS_URL,
    );
    expect(routes).toEqual([
      { via: "Ingress", url: "http://127.0.0.1:8080/app", host: "web.example" },
    ]);
    expect(describeServiceRoutes(routes)).toContain("(Host: web.example)");
  });

  test("listServiceRoutes finds nothing for a headless Service and for UDP", () => {
    expect(
      listServiceRoutes(service({ clusterIP: "None", ports: [{ port: 80 }] }), [], INGRESS_URL),
    ).toEqual([]);
    expect(
      listServiceRoutes(
        service({ clusterIP: "127.43.0.9", ports: [{ port: 53, protocol: "UDP" }] }),
        [],
        INGRESS_URL,
      ),
    ).toEqual([]);
  });
});
