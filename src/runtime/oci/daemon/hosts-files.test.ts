import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HostsFiles, hostsFile } from "./hosts-files.ts";

const directory = mkdtempSync(join(tmpdir(), "kubun-hosts-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe("hostsFile", () => {
  test("hostsFile asks mirrors first, each with its own credentials, then the registry", () => {
    const mirror = {
      url: "https://127.0.0.1:6443",
      authorityFile: "/ca.crt",
      authorization: "B x",
    };
    expect(hostsFile({ host: "docker.io", mirrors: [mirror] })).toBe(
      [
        'server = "https://registry-1.docker.io"',
        "",
        '[host."https://127.0.0.1:6443"]',
        '  capabilities = ["pull", "resolve"]',
        '  ca = "/ca.crt"',
        '  [host."https://127.0.0.1:6443".header]',
        '    Authorization = ["B x"]',
        "",
      ].join("\n"),
    );
  });

  test("hostsFile names no other server than the mirrors when only they are the registry", () => {
    const mirrors = [{ url: "http://127.0.0.1:5000" }];
    const text = hostsFile({ host: "localhost:6443", mirrors, mirrorsOnly: true });
    expect(text).toStartWith('server = "http://127.0.0.1:5000"');
  });
});

describe("HostsFiles", () => {
  test("HostsFiles.write keeps one directory a registry, which only root reads", () => {
    const files = new HostsFiles(join(directory, "certs.d"));
    files.write([
      { host: "a.test", mirrors: [{ url: "http://127.0.0.1:1" }] },
      { host: "localhost:6443", mirrors: [] },
    ]);
    files.write([{ host: "a.test", mirrors: [{ url: "http://127.0.0.1:2" }] }]);
    expect(readdirSync(join(directory, "certs.d"))).toEqual(["a.test"]);
    const path = join(directory, "certs.d", "a.test", "hosts.toml");
    expect(readFileSync(path, "utf8")).toContain("http://127.0.0.1:2");
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });
});
