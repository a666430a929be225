import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NO_GRANTS } from "../component/pod-grants.ts";
import { TranslatedComponents } from "../component/testing/translated.ts";
import { SystemHostClock } from "../host/host-clock.ts";
import { ComponentCode, type ComponentInstance } from "../worker/component-code.ts";
import { MAX_RESOURCES } from "./io/instance-scope.ts";
import type { IncomingHttp, OutgoingHttp, PreviewTwoInstance } from "./preview-two.ts";
import { serveEgress } from "./testing/egress-server.ts";
import { contentOf, nextOf, openBody, pipeOf } from "./testing/bodies.ts";
import { openHost, textOf, type HostFixture } from "./testing/host-fixture.ts";

const PROBE = join(import.meta.dir, "testdata", "probe.wasm");
const translated = new TranslatedComponents();
let code: ComponentCode;

beforeAll(async () => {
  code = await ComponentCode.load(await translated.directory(PROBE), undefined);
}, 60_000);
afterAll(() => translated.remove());

interface Handler {
  handle(request: object, responseOut: object): Promise<void>;
}

/** One instance of the probe on one instance of the host. */
async function start(fixture: HostFixture) {
  const component = await code.instantiate(fixture.instance.imports);
  return (path: string, request: Partial<IncomingHttp> = {}) =>
    call(component, fixture.instance, { ...get(path), ...request });
}

function get(pathWithQuery: string): IncomingHttp {
  return { method: "GET", scheme: "http", pathWithQuery, headers: [], body: undefined };
}

function call(
  component: ComponentInstance,
  instance: PreviewTwoInstance,
  request: IncomingHttp,
): { readonly response: Promise<OutgoingHttp>; readonly done: Promise<unknown> } {
  const incoming = instance.incoming(request);
  const handler = component.exports[code.manifest.entry] as Handler;
  const done = handler
    .handle(incoming.request, incoming.responseOut)
    .then(() => undefined)
    .catch((error: unknown) => error);
  return { response: incoming.response, done };
}

async function textAt(path: string, fixture: HostFixture): Promise<string> {
  const { response, done } = (await start(fixture))(path);
  const outgoing = await response;
  expect(await done).toBeUndefined();
  return (await contentOf(outgoing)).toString();
}

describe("A translated component", () => {
  test("A translated component answers, again and again, and leaves nothing behind", async () => {
    using fixture = openHost();
    const probe = await start(fixture);
    // A resource that stays behind each time would end the instance.
    for (let round = 0; round <= MAX_RESOURCES; round++) {
      const { response, done } = probe("/a?b");
      expect(textOf((await response).body as Uint8Array)).toBe("GET /a?b");
      await done;
    }
  });

  test("A translated component uses files through the C library, inside its volume", async () => {
    const volume = mkdtempSync(join(tmpdir(), "kubun-probe-"));
    symlinkSync("/etc/passwd", join(volume, "escape"));
    const preopens = [{ guestPath: "/data", hostPath: volume, readOnly: false }];
    const openFiles = () => readdirSync("/proc/self/fd").length;
    const before = openFiles();
    try {
      using fixture = openHost({ preopens });
      const said = await textAt("/files", fixture);
      expect(said.split("\n")).toEqual([
        'mkdir("/data/made", 0777): ok',
        'mkdir("/data/made", 0777): File exists',
        "write: 5",
        "pwrite: 1",
        "lseek: 1",
        "read: 4 ello",
        "ftruncate(fd, 3): ok",
        "fstat(fd, &st): ok",
        "size: 3",
        "close(fd): ok",
        "append: 1",
        'link("/data/made/file", "/data/made/link"): ok',
        'symlink("file", "/data/made/symlink"): ok',
        'stat("/data/made/symlink", &other): ok',
        "same: 1",
        'rename("/data/made/link", "/data/made/moved"): ok',
        "entries: 5",
        'rmdir("/data/made"): Directory not empty',
        'unlink("/data/made/moved"): ok',
        'unlink("/data/made/symlink"): ok',
        'access("/data/../../etc/passwd", R_OK): Operation not permitted',
        'open("/data/escape", O_RDONLY) < 0: Operation not permitted',
        'open("/etc/passwd", O_RDONLY) < 0: Capabilities insufficient',
        "",
      ]);
    } finally {
      rmSync(volume, { recursive: true });
    }
    expect(openFiles()).toBe(before);
  });

  test("A translated component has clocks, chance, its environment and a log", async () => {
    using fixture = openHost({ env: [["HOME", "/root"]] });
    expect((await textAt("/clocks", fixture)).split("\n")).toEqual([
      "nanosleep(&pause, NULL): ok",
      "slept: 1",
      "wall: 1",
      "getentropy(random, sizeof random): ok",
      "random: 1",
      "HOME: /root",
      "config: /root",
      "",
    ]);
    expect(fixture.output.stdout.join("")).toBe("on stdout\n");
    expect(fixture.output.stderr.join("")).toBe("on stderr\n");
  });

  test("A translated component echoes a body while it comes", async () => {
    using fixture = openHost();
    const probe = await start(fixture);
    const body = openBody();
    const { response, done } = probe("/echo", { method: "POST", body });
    const echoed = pipeOf(await response);
    for (const part of ["one", "two", "three"]) {
      body.push(Buffer.from(part));
      expect(textOf((await nextOf(echoed)) ?? new Uint8Array())).toBe(part);
    }
    body.end();
    expect(await nextOf(echoed)).toBeUndefined();
    expect(await done).toBeUndefined();
  });

  test("A translated component streams more than memory holds, as fast as it is read", async () => {
    using fixture = openHost();
    const total = 16 * 1024 * 1024;
    const { response, done } = (await start(fixture))(`/stream?${total}`);
    let received = 0;
    const pipe = pipeOf(await response);
    for (let chunk = await nextOf(pipe); chunk !== undefined; chunk = await nextOf(pipe)) {
      expect(chunk.length).toBeLessThanOrEqual(65_536);
      received += chunk.length;
    }
    expect(received).toBe(total);
    expect(await done).toBeUndefined();
  });

  test("A translated component learns that its client went away", async () => {
    using fixture = openHost();
    const { response, done } = (await start(fixture))(`/stream?${2 ** 30}`);
    const pipe = pipeOf(await response);
    await nextOf(pipe);
    pipe.cancel();
    expect(await done).toBeUndefined();
  });

  test("A translated component calls others, and is told why it may not", async () => {
    const clock = new SystemHostClock();
    using egress = serveEgress((text, peer) => {
      if (!text.endsWith("question")) return "more";
      clock.after(5, () => peer.write("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nanswer"));
      return "done";
    });
    const allowedHosts = [{ scheme: "http", host: "store", port: 8080 } as const];
    const grants = { ...NO_GRANTS, allowedHosts };
    using fixture = openHost({ egressPath: egress.path, grants });
    expect(await textAt("/fetch?http://store:8080/x", fixture)).toBe("200  answer");
    expect(egress.received[0]).toStartWith("POST /x HTTP/1.1\r\nhost: store:8080\r\n");
    expect(await textAt("/fetch?http://other/", fixture)).toBe("0 HTTP-request-denied ");
    expect(fixture.notes).toHaveLength(1);
  });

  test("A translated component that traps or exits ends, and what it held with it", async () => {
    for (const path of ["/trap", "/exit"]) {
      using fixture = openHost();
      const { response, done } = (await start(fixture))(path);
      const failure = await done;
      expect(failure).toBeInstanceOf(Error);
      fixture.instance.close();
      const answer = await response.catch((error: Error) => error.name);
      expect(answer).toBe("HttpError");
    }
  });

  test("A translated component that waits is ended by closing its instance", async () => {
    using fixture = openHost();
    const { done } = (await start(fixture))("/echo", { method: "POST", body: openBody() });
    fixture.instance.close();
    expect(await done).toBeInstanceOf(Error);
  });
});
