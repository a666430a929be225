import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../lib/testing/eventually.ts";
import type { TakeOver } from "../os/index.ts";
import { proxiedUpgrade } from "./proxied-upgrade.ts";

const TIMEOUT_MS = 10_000;

describe("proxiedUpgrade", () => {
  let directory: string;
  const seen: string[] = [];
  const sent: string[] = [];
  let taken: TakeOver | undefined;
  let session: ReturnType<TakeOver["open"]> | undefined;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "kubun-upgrade-"));
    seen.length = 0;
    sent.length = 0;
    taken = undefined;
    session = undefined;
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  /** Asks an endpoint that says this to its first bytes, and echoes the others. */
  function ask(answer: string): Promise<Response> {
    const unix = join(directory, "endpoint.sock");
    Bun.listen({
      unix,
      socket: {
        data: (socket, chunk) => {
          seen.push(chunk.toString());
          socket.write(seen.length === 1 ? answer : `<${chunk.toString()}>`);
        },
      },
    }).unref();
    return proxiedUpgrade({
      unix,
      method: "GET",
      target: "/chat?x=1",
      headers: new Headers({ host: "web.default.svc:80", upgrade: "websocket" }),
      came: new Request("https://api/"),
      listener: {
        takeOver: (_request, options) => {
          taken = options;
          session = options.open({
            write: (bytes) => sent.push(Buffer.from(bytes).toString()) > 0,
            pause: () => undefined,
            resume: () => undefined,
            end: () => sent.push("end"),
          });
          return true;
        },
      },
    });
  }

  test(
    "proxiedUpgrade: joins the connections when the endpoint switches protocols",
    async () => {
      await ask("HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nx-up: 1\r\n\r\nhello");
      expect(seen[0]).toStartWith("GET /chat?x=1 HTTP/1.1\r\nconnection: Upgrade\r\n");
      expect(taken?.headers).toEqual({ connection: "Upgrade", "x-up": "1" });
      session?.data(Buffer.from("hi"));
      await eventually(() => sent.join("").includes("<hi>"));
      expect(sent.join("")).toBe("hello<hi>");
      session?.closed();
      await eventually(() => sent.includes("end"));
    },
    TIMEOUT_MS,
  );

  test(
    "proxiedUpgrade: another answer is answered, and the connections stay apart",
    async () => {
      const answer = await ask("HTTP/1.1 418 No\r\ncontent-length: 3\r\nx-a: b\r\n\r\ntea");
      expect(answer.status).toBe(418);
      expect(await answer.text()).toBe("tea");
      expect(Object.fromEntries(answer.headers)).toMatchObject({ "x-a": "b" });
      expect(taken).toBeUndefined();
    },
    TIMEOUT_MS,
  );

  test(
    "proxiedUpgrade: rejects what is no answer",
    async () => {
      expect(ask("nonsense\r\n\r\n")).rejects.toThrow("malformed status line");
    },
    TIMEOUT_MS,
  );
});
