import { describe, expect, test } from "bun:test";
import { registryCredentials } from "./registry-credentials.ts";

const none = async (): Promise<undefined> => undefined;
const base64 = (text: string): string => Buffer.from(text).toString("base64");

describe("registryCredentials", () => {
  test("registryCredentials finds a registry by name or URL", async () => {
    const config = JSON.stringify({
      auths: {
        "https://index.docker.io/v1/": { auth: base64("me:a:b") },
        "ghcr.io": { username: "you", password: "secret" },
        "https://registry.example:5000/v2/": { auth: base64("they:x") },
        "token.example": { registrytoken: "abc" },
        "empty.example": {},
      },
    });
    const find = (host: string) => registryCredentials(host, config, none);
    expect(await find("docker.io")).toEqual({ username: "me", password: "a:b" });
    expect(await find("ghcr.io")).toEqual({ username: "you", password: "secret" });
    expect(await find("registry.example:5000")).toEqual({ username: "they", password: "x" });
    expect(await find("token.example")).toEqual({ token: "abc" });
    expect(await find("empty.example")).toBeUndefined();
    expect(await find("other.example")).toBeUndefined();
  });

  test("registryCredentials asks a helper program first, of one registry or of all", async () => {
    const config = JSON.stringify({
      auths: { "ghcr.io": { auth: base64("file:file") } },
      credsStore: "desktop",
      credHelpers: { "gcr.io": "gcloud" },
    });
    const asked: string[][] = [];
    const ask = async (program: string, registry: string): Promise<string | undefined> => {
      asked.push([program, registry]);
      if (registry === "ghcr.io") return undefined;
      const secret = registry === "gcr.io" ? ["<token>", "abc"] : ["me", "kept"];
      return JSON.stringify({ Username: secret[0], Secret: secret[1] });
    };
    expect(await registryCredentials("gcr.io", config, ask)).toEqual({ token: "abc" });
    expect(await registryCredentials("docker.io", config, ask)).toEqual({
      username: "me",
      password: "kept",
    });
    expect(await registryCredentials("ghcr.io", config, ask)).toEqual({
      username: "file",
      password: "file",
    });
    expect(asked).toEqual([
      ["docker-credential-gcloud", "gcr.io"],
      ["docker-credential-desktop", "https://index.docker.io/v1/"],
      ["docker-credential-desktop", "ghcr.io"],
    ]);
  });

  test("registryCredentials refuses a file of another form, and a helper that is a path", () => {
    expect(registryCredentials("a.example", "[]", none)).rejects.toThrow("Docker configuration");
    const config = JSON.stringify({ credsStore: "../../bin/sh" });
    expect(registryCredentials("a.example", config, none)).rejects.toThrow("credential helper");
  });
});
