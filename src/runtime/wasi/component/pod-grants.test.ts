import { describe, expect, test } from "bun:test";
import { RuntimeError } from "../../runtime.ts";
import {
  ACCESS_LOG_ANNOTATION,
  ALLOWED_HOSTS_ANNOTATION,
  componentSettings,
  formatAllowedHost,
  INSTANCE_REUSE_ANNOTATION,
  INSTANCES_ANNOTATION,
  isAllowed,
  KEYVALUE_STORES_ANNOTATION,
  MAX_ALLOWED_HOSTS,
  BLOB_CONTAINERS_ANNOTATION,
  MAX_VOLUME_GRANTS,
  NO_GRANTS,
  SQLITE_DATABASES_ANNOTATION,
  REQUEST_TIMEOUT_ANNOTATION,
} from "./pod-grants.ts";

function hosts(text: string) {
  return componentSettings({ [ALLOWED_HOSTS_ANNOTATION]: text }).grants.allowedHosts;
}

function refusal(annotation: string, value: string): string {
  try {
    componentSettings({ [annotation]: value });
  } catch (error) {
    expect(error).toBeInstanceOf(RuntimeError);
    expect((error as RuntimeError).code).toBe("invalid-config");
    return (error as RuntimeError).message;
  }
  return "accepted";
}

describe("componentSettings", () => {
  test("componentSettings grants nothing without annotations", () => {
    expect(componentSettings()).toEqual({
      grants: NO_GRANTS,
      instances: 64,
      requestTimeoutMs: 30_000,
      accessLog: false,
      freshInstances: false,
    });
  });

  test("componentSettings reads which parts of volumes names stand for", () => {
    const { grants } = componentSettings({
      [SQLITE_DATABASES_ANNOTATION]: "default=/data/app.db, audit=/logs/a=b.db",
      [BLOB_CONTAINERS_ANNOTATION]: "default=/data/blobs",
    });
    expect(grants.sqliteDatabases).toEqual([
      { name: "default", path: "/data/app.db" },
      { name: "audit", path: "/logs/a=b.db" },
    ]);
    expect(grants.blobContainers).toEqual([{ name: "default", path: "/data/blobs" }]);
  });

  test.each([
    ["/data/app.db", "want name=/path"],
    ["default=data/app.db", "want name=/path"],
    ["default=/data/../app.db", "want name=/path"],
    ["default=/data/./app.db", "want name=/path"],
    ["default=/data/", "want name=/path"],
    ["a b=/data/app.db", "want name=/path"],
    ["a=/data/1.db,a=/data/2.db", "each name may be given once"],
    [Array.from({ length: MAX_VOLUME_GRANTS + 1 }, (_, n) => `n${n}=/a`).join(), "at most 64"],
  ])("componentSettings refuses %p as a part of a volume", (value, why) => {
    expect(refusal(SQLITE_DATABASES_ANNOTATION, value)).toContain(why);
    expect(refusal(BLOB_CONTAINERS_ANNOTATION, value)).toContain(why);
  });

  test("componentSettings reads every form of a host", () => {
    expect(
      hosts(
        "http://guestbook-store, https://API.example.com/,http://*.example.com:8080, " +
          "tcp://db:5432, udp://10.0.0.1:*, http://[::1]:8080, https://*, *",
      ),
    ).toEqual([
      { scheme: "http", host: "guestbook-store", port: 80 },
      { scheme: "https", host: "api.example.com", port: 443 },
      { scheme: "http", host: "*.example.com", port: 8080 },
      { scheme: "tcp", host: "db", port: 5432 },
      { scheme: "udp", host: "10.0.0.1", port: "*" },
      { scheme: "http", host: "::1", port: 8080 },
      { scheme: "https", host: "*", port: 443 },
      { scheme: "*", host: "*", port: "*" },
    ]);
  });

  test("componentSettings says what is wrong with a host", () => {
    for (const [entry, want] of [
      ["example.com", "scheme://host"],
      ["ftp://example.com", "http, https, tcp or udp"],
      ["http://a.*.com", "begins with *."],
      ["http://example.com/path", "scheme://host"],
      ["http://user@example.com", "scheme://host"],
      ["tcp://db", "needs a port"],
      ["http://db:70000", "1…65535"],
      ["http://db:0", "1…65535"],
    ] as const) {
      const message = refusal(ALLOWED_HOSTS_ANNOTATION, `http://fine, ${entry}`);
      expect(message).toContain(`${ALLOWED_HOSTS_ANNOTATION}: "${entry}"`);
      expect(message).toContain(want);
    }
  });

  test("componentSettings bounds the number of hosts", () => {
    const many = Array.from({ length: MAX_ALLOWED_HOSTS + 1 }, (_, index) => `http://h${index}`);
    expect(refusal(ALLOWED_HOSTS_ANNOTATION, many.join(","))).toContain("at most 256");
    expect(hosts(many.slice(1).join(","))).toHaveLength(MAX_ALLOWED_HOSTS);
  });

  test("componentSettings reads stores, instances, timeout, access log and reuse", () => {
    expect(
      componentSettings({
        [KEYVALUE_STORES_ANNOTATION]: "default, counters",
        [INSTANCES_ANNOTATION]: "8",
        [REQUEST_TIMEOUT_ANNOTATION]: "1m1.5s",
        [ACCESS_LOG_ANNOTATION]: "true",
        [INSTANCE_REUSE_ANNOTATION]: "false",
      }),
    ).toEqual({
      grants: { ...NO_GRANTS, keyvalueStores: ["default", "counters"] },
      instances: 8,
      requestTimeoutMs: 61_500,
      accessLog: true,
      freshInstances: true,
    });
  });

  test("componentSettings refuses values out of range by name", () => {
    expect(refusal(INSTANCES_ANNOTATION, "0")).toContain('kubun.dev/instances: "0": want a number');
    expect(refusal(INSTANCES_ANNOTATION, "1025")).toContain("1…1024");
    expect(refusal(REQUEST_TIMEOUT_ANNOTATION, "30")).toContain('such as "30s"');
    expect(refusal(REQUEST_TIMEOUT_ANNOTATION, "0s")).toContain("1ms…24h");
    expect(refusal(REQUEST_TIMEOUT_ANNOTATION, "25h")).toContain("1ms…24h");
    expect(refusal(KEYVALUE_STORES_ANNOTATION, "Not/Good")).toContain("a store's name");
    expect(refusal(ACCESS_LOG_ANNOTATION, "yes")).toContain('"true" or "false"');
  });
});

describe("isAllowed", () => {
  test("isAllowed compares scheme, host and port", () => {
    const allowed = hosts("http://store, https://api.example.com:8443");
    expect(isAllowed(allowed, "http", "store", 80)).toBe(true);
    expect(isAllowed(allowed, "http", "STORE.", 80)).toBe(true);
    expect(isAllowed(allowed, "https", "api.example.com", 8443)).toBe(true);
    expect(isAllowed(allowed, "http", "store", 81)).toBe(false);
    expect(isAllowed(allowed, "https", "store", 80)).toBe(false);
    expect(isAllowed(allowed, "http", "store.default", 80)).toBe(false);
    expect(isAllowed([], "http", "store", 80)).toBe(false);
  });

  test("isAllowed takes *. for the names below, not for the name itself", () => {
    const allowed = hosts("http://*.example.com");
    expect(isAllowed(allowed, "http", "a.example.com", 80)).toBe(true);
    expect(isAllowed(allowed, "http", "a.b.example.com", 80)).toBe(true);
    expect(isAllowed(allowed, "http", "example.com", 80)).toBe(false);
    expect(isAllowed(allowed, "http", "evilexample.com", 80)).toBe(false);
  });

  test("isAllowed takes * for everything and brackets off addresses", () => {
    expect(isAllowed(hosts("*"), "udp", "10.1.2.3", 53)).toBe(true);
    expect(isAllowed(hosts("tcp://[fd00::1]:*"), "tcp", "[fd00::1]", 9)).toBe(true);
  });
});

test("formatAllowedHost writes an entry that grants what was asked", () => {
  expect(formatAllowedHost("http", "Store", 80)).toBe("http://store");
  expect(formatAllowedHost("https", "::1", 8443)).toBe("https://[::1]:8443");
  expect(isAllowed(hosts(formatAllowedHost("tcp", "db", 5432)), "tcp", "db", 5432)).toBe(true);
});
