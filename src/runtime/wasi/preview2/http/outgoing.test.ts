import { describe, expect, test } from "bun:test";
import { SystemHostClock } from "../../host/host-clock.ts";
import { eventually } from "../../../../lib/testing/eventually.ts";
import { answerAll, serveEgress, type EgressServer } from "../testing/egress-server.ts";
import {
  bodyOf,
  bytesOf,
  httpTypes,
  imported,
  openHost,
  refusal,
  responseOf,
  textOf,
  type HostFixture,
} from "../testing/host-fixture.ts";
import { NO_GRANTS } from "../../component/pod-grants.ts";
import { EgressPool, MAX_OUTGOING_REQUESTS } from "./egress-pool.ts";
import { IncomingBody } from "./incoming-body.ts";
import type { FutureIncomingResponse } from "./incoming-response.ts";
import { OutgoingBody } from "./outgoing-body.ts";
import type { OutgoingRequest, RequestOptions } from "./outgoing-request.ts";

const grants = {
  ...NO_GRANTS,
  allowedHosts: [{ scheme: "http", host: "store", port: 80 } as const],
};
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-a: b\r\n\r\nok";

function hostOn(egress: EgressServer): HostFixture {
  return openHost({ egressPath: egress.path, grants });
}

function newRequest(
  fixture: HostFixture,
  options: { method?: "get" | "post"; path?: string; headers?: [string, string][] } = {},
): OutgoingRequest {
  const { Fields, OutgoingRequest } = httpTypes(fixture.instance);
  const headers = (options.headers ?? []).map(
    ([name, value]) => [name, bytesOf(value)] as [string, Uint8Array],
  );
  const request = new OutgoingRequest(Fields.fromList(headers));
  request.setMethod({ tag: options.method ?? "get" });
  request.setScheme({ tag: "HTTP" });
  request.setAuthority("store");
  request.setPathWithQuery(options.path ?? "/");
  return request;
}

function send(
  fixture: HostFixture,
  request: OutgoingRequest,
  options?: RequestOptions,
): FutureIncomingResponse {
  const handle = imported<
    (request: OutgoingRequest, options: RequestOptions | undefined) => FutureIncomingResponse
  >(fixture.instance, "wasi:http/outgoing-handler", "handle");
  return handle(request, options);
}

async function failureOf(future: FutureIncomingResponse): Promise<unknown> {
  return responseOf(future).catch((error: { payload: unknown }) => error.payload);
}

const TE = "te: trailers\r\nconnection: te\r\n";

describe("outgoing-handler", () => {
  test("outgoing-handler sends a request in origin form, and reads the response", async () => {
    using egress = serveEgress(answerAll(OK));
    using fixture = hostOn(egress);
    const request = newRequest(fixture, { path: "/ü?a=b", headers: [["x-one", "1"]] });
    const response = await responseOf(send(fixture, request));
    expect(response.status()).toBe(200);
    const headers = response.headers();
    expect(headers.get("X-A").map(textOf)).toEqual(["b"]);
    headers[Symbol.dispose]();
    expect((await bodyOf(response)).toString()).toBe("ok");
    expect(egress.received).toEqual([
      `GET /%C3%BC?a=b HTTP/1.1\r\nhost: store\r\n${TE}x-one: 1\r\n\r\n`,
    ]);
    await responseOf(send(fixture, newRequest(fixture)));
    expect(egress.connections()).toBe(1);
  });

  test("outgoing-handler refuses what is not granted, and says so once a host", () => {
    using egress = serveEgress(answerAll(OK));
    using fixture = hostOn(egress);
    const denied = { tag: "HTTP-request-denied" };
    const elsewhere = (authority: string) => {
      const request = newRequest(fixture);
      request.setAuthority(authority);
      return refusal(() => send(fixture, request));
    };
    expect(elsewhere("evil.example:8080")).toEqual(denied);
    expect(elsewhere("evil.example:8080")).toEqual(denied);
    expect(elsewhere("store:81")).toEqual(denied);
    expect(fixture.notes).toHaveLength(2);
    expect(fixture.notes[0]).toContain("wasi:http/outgoing-handler");
    expect(fixture.notes[0]).toContain("kubun.dev/allowed-outgoing-hosts");
    expect(fixture.notes[0]).toContain('"http://evil.example:8080"');
    const https = newRequest(fixture);
    https.setScheme(undefined);
    expect(refusal(() => send(fixture, https))).toEqual(denied);
  });

  test("outgoing-handler refuses requests that are none", () => {
    using fixture = openHost({ grants });
    const request = newRequest(fixture);
    expect(refusal(() => request.setAuthority("user@store"))).toBeUndefined();
    expect(refusal(() => request.setAuthority("store\r\nx: y"))).toBeUndefined();
    expect(refusal(() => request.setPathWithQuery("/a b"))).toBeUndefined();
    expect(refusal(() => request.setPathWithQuery("/\r\nhost: evil"))).toBeUndefined();
    expect(refusal(() => request.setPathWithQuery("a"))).toBeUndefined();
    expect(refusal(() => request.setMethod({ tag: "other", val: "A B" }))).toBeUndefined();
    request.setAuthority(undefined);
    expect(refusal(() => send(fixture, request))).toEqual({ tag: "HTTP-request-URI-invalid" });
    expect(refusal(() => send(fixture, newRequest(fixture)))).toEqual({
      tag: "HTTP-request-denied",
    });
    expect(fixture.notes[0]).toContain("no way out");
  });

  test("outgoing-handler sends a short body with its length, a long one in chunks", async () => {
    using egress = serveEgress((text, peer) => {
      const whole = text.endsWith("hello") || text.includes("\r\n0\r\n");
      if (!whole) return "more";
      peer.write(OK);
      return "done";
    });
    using fixture = hostOn(egress);
    const { Fields } = httpTypes(fixture.instance);
    const short = newRequest(fixture, { method: "post" });
    const shortBody = short.body();
    const first = send(fixture, short);
    const stream = shortBody.write();
    await stream.blockingWriteAndFlush(bytesOf("hello"));
    stream[Symbol.dispose]();
    OutgoingBody.finish(shortBody, undefined);
    await bodyOf(await responseOf(first));
    expect(egress.received[0]).toEndWith("content-length: 5\r\n\r\nhello");

    const long = newRequest(fixture, { method: "post" });
    const longBody = long.body();
    const second = send(fixture, long);
    const writer = longBody.write();
    for (let part = 0; part < 64; part++) {
      await writer.blockingWriteAndFlush(new Uint8Array(4096).fill(120));
    }
    writer[Symbol.dispose]();
    OutgoingBody.finish(longBody, Fields.fromList([["sum", bytesOf("1")]]));
    await bodyOf(await responseOf(second));
    expect(egress.received[1]).toContain("transfer-encoding: chunked");
    expect(egress.received[1]).toEndWith("\r\n0\r\nsum: 1\r\n\r\n");
    expect(egress.received[1]?.match(/x/g)?.length).toBeGreaterThanOrEqual(64 * 4096);
  });

  test("outgoing-handler reads chunks and trailers, byte by byte", async () => {
    const answer =
      "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" +
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" +
      "3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nsum: 5\r\n\r\n";
    using egress = serveEgress((_text, peer) => {
      for (const byte of Buffer.from(answer)) peer.write(Buffer.of(byte));
      return "done";
    });
    using fixture = hostOn(egress);
    const response = await responseOf(send(fixture, newRequest(fixture)));
    const body = response.consume();
    const stream = body.stream();
    let text = "";
    while (text.length < 5) text += textOf(await stream.blockingRead(100n));
    expect(text).toBe("abcde");
    stream[Symbol.dispose]();
    await eventually(() => egress.connections() === 1);
    const future = IncomingBody.finish(body);
    const pollable = future.subscribe();
    await pollable.block();
    pollable[Symbol.dispose]();
    const got = future.get();
    const trailers = got?.tag === "ok" && got.val.tag === "ok" ? got.val.val : undefined;
    expect(trailers?.get("sum").map(textOf)).toEqual(["5"]);
  });

  test("outgoing-handler maps what the egress and broken responses mean", async () => {
    const cases: readonly [string, unknown][] = [
      [
        "HTTP/1.1 502 x\r\nx-kubun-egress-error: dns-error\r\ncontent-length: 2\r\n\r\nno",
        { tag: "DNS-error", val: {} },
      ],
      [
        "HTTP/1.1 504 x\r\nx-kubun-egress-error: connection-timeout\r\ncontent-length: 0\r\n\r\n",
        { tag: "connection-timeout" },
      ],
      [
        "HTTP/1.1 502 x\r\nx-kubun-egress-error: tls-protocol-error\r\ncontent-length: 0\r\n\r\n",
        { tag: "TLS-protocol-error" },
      ],
      ["not http\r\n\r\n", { tag: "HTTP-protocol-error" }],
      ["HTTP/1.1 200 OK\r\nbad header\r\n\r\n", { tag: "HTTP-protocol-error" }],
      [
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        { tag: "HTTP-protocol-error" },
      ],
      ["HTTP/1.1 101 Up\r\n\r\n", { tag: "HTTP-upgrade-failed" }],
      [
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        { tag: "HTTP-response-transfer-coding", val: "gzip" },
      ],
      [
        `HTTP/1.1 200 OK\r\na: ${"x".repeat(70_000)}\r\n\r\n`,
        { tag: "HTTP-response-header-section-size", val: 65_536 },
      ],
    ];
    for (const [answer, want] of cases) {
      using egress = serveEgress(answerAll(answer));
      using fixture = hostOn(egress);
      expect(await failureOf(send(fixture, newRequest(fixture)))).toEqual(want);
    }
    using fixture = openHost({ egressPath: "/proc/self/none.sock", grants });
    expect(await failureOf(send(fixture, newRequest(fixture)))).toEqual({
      tag: "destination-unavailable",
    });
  });

  test("outgoing-handler tells a response that breaks off", async () => {
    using egress = serveEgress((_text, peer) => {
      peer.end("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
      return "done";
    });
    using fixture = hostOn(egress);
    const response = await responseOf(send(fixture, newRequest(fixture)));
    const failure = await bodyOf(response).catch((error: { payload: unknown }) => error.payload);
    expect(failure).toMatchObject({
      tag: "last-operation-failed",
      val: { failure: { kind: "http", code: { tag: "HTTP-response-incomplete" } } },
    });
  });

  test("outgoing-handler keeps the guest's timeouts", async () => {
    using egress = serveEgress((text, peer) => {
      if (text.startsWith("GET /slow-body")) {
        peer.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
      }
      return "done";
    });
    using fixture = hostOn(egress);
    const { RequestOptions } = httpTypes(fixture.instance);
    const first = new RequestOptions();
    first.setConnectTimeout(1_500_000_000n);
    first.setFirstByteTimeout(20_000_000n);
    expect(first.firstByteTimeout()).toBe(20_000_000n);
    const silent = send(fixture, newRequest(fixture), first);
    expect(await failureOf(silent)).toEqual({ tag: "connection-read-timeout" });
    expect(egress.received[0]).toContain("x-kubun-connect-timeout-ms: 1500");
    const between = new RequestOptions();
    between.setBetweenBytesTimeout(20_000_000n);
    const request = newRequest(fixture, { path: "/slow-body" });
    const response = await responseOf(send(fixture, request, between));
    const failure = await bodyOf(response).catch((error: { payload: unknown }) => error.payload);
    expect(failure).toMatchObject({
      val: { failure: { code: { tag: "connection-read-timeout" } } },
    });
  });

  test("outgoing-handler sends again when a kept connection turned out to be closed", async () => {
    using egress = serveEgress((text, peer, count) => {
      if (!text.endsWith("\r\n\r\n")) return "more";
      if (count === 1) peer.terminate();
      else peer.write(OK);
      return "done";
    });
    using fixture = hostOn(egress);
    await bodyOf(await responseOf(send(fixture, newRequest(fixture))));
    const response = await responseOf(send(fixture, newRequest(fixture)));
    expect((await bodyOf(response)).toString()).toBe("ok");
    expect(egress.connections()).toBe(2);
  });

  test("outgoing-handler holds little of a response that nobody reads", async () => {
    const total = 8 * 1024 * 1024;
    let sent = 0;
    using egress = serveEgress((_text, peer) => {
      peer.write(`HTTP/1.1 200 OK\r\ncontent-length: ${total}\r\n\r\n`);
      for (let taken = 1; taken > 0;) {
        taken = peer.write(new Uint8Array(65_536));
        sent += Math.max(0, taken);
      }
      return "done";
    });
    using fixture = hostOn(egress);
    const response = await responseOf(send(fixture, newRequest(fixture)));
    const body = response.consume();
    expect(sent).toBeLessThan(2 * 1024 * 1024);
    body[Symbol.dispose]();
  });

  test("outgoing-handler ends its connections with the instance", async () => {
    let closed = 0;
    using egress = serveEgress(() => "done");
    using fixture = hostOn(egress);
    const future = send(fixture, newRequest(fixture));
    const waiting = Promise.resolve(future.subscribe().block()).catch(() => closed++);
    await eventually(() => egress.received.length === 1);
    fixture.instance.close();
    await waiting;
    expect(closed).toBe(1);
  });

  test("64 requests of 20 ms do not wait for each other", async () => {
    const clock = new SystemHostClock();
    using egress = serveEgress((_text, peer) => {
      clock.after(20, () => peer.write(OK));
      return "done";
    });
    using fixture = hostOn(egress);
    const startNs = clock.monotonicNs();
    const one = async () => bodyOf(await responseOf(send(fixture, newRequest(fixture))));
    await Promise.all(Array.from({ length: 64 }, one));
    const passedMs = Number(clock.monotonicNs() - startNs) / 1e6;
    expect(passedMs).toBeLessThan((64 * 20) / 2);
  });

  test("EgressPool bounds the requests of a container", () => {
    const pool = new EgressPool("/nonexistent", new SystemHostClock());
    for (let index = 0; index < MAX_OUTGOING_REQUESTS; index++) pool.enter();
    expect(() => pool.enter()).toThrow("connection-limit-reached");
    pool.leave();
    pool.enter();
  });
});
