import { describe, expect, test } from "bun:test";
import { parseChallenge } from "./registry-challenge.ts";
import { registryOrigin } from "./registry-session.ts";

describe("parseChallenge", () => {
  test("parseChallenge reads what registries send", () => {
    const docker =
      'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",' +
      'scope="repository:library/nginx:pull"';
    expect(parseChallenge(docker)).toEqual({
      type: "bearer",
      realm: "https://auth.docker.io/token",
      service: "registry.docker.io",
      scope: "repository:library/nginx:pull",
    });
    expect(parseChallenge('bearer realm="https://a/b"')).toEqual({
      type: "bearer",
      realm: "https://a/b",
    });
    expect(parseChallenge('Basic realm="x"')).toEqual({ type: "basic" });
    expect(parseChallenge("Negotiate")).toBeUndefined();
    expect(parseChallenge('Bearer service="x"')).toBeUndefined();
    expect(parseChallenge(null)).toBeUndefined();
  });
});

describe("registryOrigin", () => {
  test.each([
    ["docker.io", "https://registry-1.docker.io"],
    ["ghcr.io", "https://ghcr.io"],
    ["localhost:5000", "http://localhost:5000"],
    ["127.4.5.6:5000", "http://127.4.5.6:5000"],
    ["[::1]:5000", "http://[::1]:5000"],
    ["127.0.0.1.example", "https://127.0.0.1.example"],
    ["10.0.0.1:5000", "https://10.0.0.1:5000"],
  ])("registryOrigin reaches %s at %s", (host, origin) => {
    expect(registryOrigin(host)).toBe(origin);
  });
});
