import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DEFAULT_PORT, listeningPorts } from "./listening-ports.ts";

const workload = (path: string): Uint8Array =>
  readFileSync(join(import.meta.dir, "../../workloads", path));
const EMPTY_MODULE = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);

describe("listeningPorts", () => {
  test("listeningPorts: a server has the default port, by what it imports or exports", () => {
    const server = workload("hello-http/hello-http.wasm");
    const component = workload("hello-component-c/hello-component-c.wasm");
    expect(listeningPorts(server, [])).toEqual([DEFAULT_PORT]);
    expect(listeningPorts(component, [])).toEqual([DEFAULT_PORT]);
    expect(listeningPorts(EMPTY_MODULE, [])).toEqual([]);
  });

  test("listeningPorts: the TCP ports that an image exposes come first", () => {
    const exposed = ["9000/tcp", "53/udp", "9001", "70000/tcp", "x"];
    expect(listeningPorts(EMPTY_MODULE, exposed)).toEqual([9_000, 9_001]);
  });
});
