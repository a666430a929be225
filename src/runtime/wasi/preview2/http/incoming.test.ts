import { describe, expect, test } from "bun:test";
import { GuestTrap } from "../io/guest-error.ts";
import { MAX_WRITE_BYTES } from "../io/output-stream.ts";
import type { IncomingHttp } from "../preview-two.ts";
import {
  bytesOf,
  httpTypes,
  openHost,
  refusal,
  textOf,
  type HostFixture,
} from "../testing/host-fixture.ts";
import { contentOf, openBody, pipeOf, wholeBody } from "../testing/bodies.ts";
import { HttpError } from "./http-error.ts";
import { IncomingBody } from "./incoming-body.ts";
import type { IncomingRequest } from "./incoming-request.ts";
import { OutgoingBody } from "./outgoing-body.ts";
import { ResponseOutparam } from "./outgoing-response.ts";

const GET: IncomingHttp = {
  method: "GET",
  scheme: "http",
  authority: "hello.example:8080",
  pathWithQuery: "/a?b=c",
  headers: [
    ["Accept", bytesOf("*/*")],
    ["Host", bytesOf("hello.example:8080")],
    ["Connection", bytesOf("close")],
  ],
  body: undefined,
};

function arrive(fixture: HostFixture, request: IncomingHttp = GET) {
  const incoming = fixture.instance.incoming(request);
  return {
    request: incoming.request as IncomingRequest,
    out: incoming.responseOut as ResponseOutparam,
    response: incoming.response,
  };
}

function newResponse(fixture: HostFixture, headers: readonly [string, string][] = []) {
  const { Fields, OutgoingResponse } = httpTypes(fixture.instance);
  return new OutgoingResponse(
    Fields.fromList(headers.map(([name, value]) => [name, bytesOf(value)])),
  );
}

describe("incoming-request", () => {
  test("incoming-request shows its parts, without what belongs to the connection", () => {
    using fixture = openHost();
    const { request } = arrive(fixture);
    expect(request.method()).toEqual({ tag: "get" });
    expect(request.pathWithQuery()).toBe("/a?b=c");
    expect(request.scheme()).toEqual({ tag: "HTTP" });
    expect(request.authority()).toBe("hello.example:8080");
    const headers = request.headers();
    expect(headers.entries().map(([name]) => name)).toEqual(["Accept"]);
    expect(refusal(() => headers.delete("accept"))).toEqual({ tag: "immutable" });
    expect(() => request[Symbol.dispose]()).toThrow(GuestTrap);
    headers[Symbol.dispose]();
    request[Symbol.dispose]();
    const other = arrive(fixture, { ...GET, method: "PURGE" });
    expect(other.request.method()).toEqual({ tag: "other", val: "PURGE" });
  });

  test("incoming-request gives its body once, and the body its stream once", async () => {
    using fixture = openHost();
    const body = wholeBody("hello");
    const trailers = Promise.resolve([["sum", bytesOf("5")] as const]);
    const { request } = arrive(fixture, { ...GET, method: "POST", body, trailers });
    const incoming = request.consume();
    expect(refusal(() => request.consume())).toBeUndefined();
    const stream = incoming.stream();
    expect(refusal(() => incoming.stream())).toBeUndefined();
    expect(textOf(await stream.blockingRead(100n))).toBe("hello");
    const closed = Promise.try(() => stream.blockingRead(1n));
    expect(await closed.catch((error: unknown) => error)).toMatchObject({
      payload: { tag: "closed" },
    });
    expect(() => IncomingBody.finish(incoming)).toThrow(GuestTrap);
    stream[Symbol.dispose]();
    const future = IncomingBody.finish(incoming);
    const pollable = future.subscribe();
    await pollable.block();
    pollable[Symbol.dispose]();
    const got = future.get();
    expect(got?.tag === "ok" && got.val.tag === "ok" && got.val.val?.entries()[0]?.[0]).toBe("sum");
    expect(future.get()).toEqual({ tag: "err", val: undefined });
  });

  test("incoming-body that was not read to its end has no trailers, and is closed", async () => {
    using fixture = openHost();
    const body = openBody();
    const { request } = arrive(fixture, { ...GET, body });
    const future = IncomingBody.finish(request.consume());
    await future.subscribe().block();
    expect(future.get()).toEqual({ tag: "ok", val: { tag: "ok", val: undefined } });
    expect(body.closed).toBe(true);
  });
});

describe("response-outparam", () => {
  test("response-outparam hands a short response over in one piece", async () => {
    using fixture = openHost();
    const { out, response } = arrive(fixture);
    const made = newResponse(fixture, [["content-type", "text/plain"]]);
    made.setStatusCode(201);
    expect(refusal(() => made.setStatusCode(99))).toBeUndefined();
    const body = made.body();
    expect(refusal(() => made.body())).toBeUndefined();
    ResponseOutparam.set(out, { tag: "ok", val: made });
    const stream = body.write();
    await stream.blockingWriteAndFlush(bytesOf("hello"));
    expect(() => OutgoingBody.finish(body, undefined)).toThrow(GuestTrap);
    stream[Symbol.dispose]();
    OutgoingBody.finish(body, undefined);
    const answer = await response;
    expect(answer.status).toBe(201);
    expect(answer.headers.map(([name]) => name)).toEqual(["content-type"]);
    expect(textOf(answer.body as Uint8Array)).toBe("hello");
    expect(answer.trailers).toBeUndefined();
  });

  test("response-outparam streams what the guest still writes, with trailers", async () => {
    using fixture = openHost();
    const { Fields } = httpTypes(fixture.instance);
    const { out, response } = arrive(fixture);
    const made = newResponse(fixture);
    const body = made.body();
    ResponseOutparam.set(out, { tag: "ok", val: made });
    const answer = await response;
    const received = contentOf(answer);
    const stream = body.write();
    await stream.blockingWriteAndFlush(bytesOf("one "));
    await stream.blockingWriteAndFlush(bytesOf("two"));
    stream[Symbol.dispose]();
    OutgoingBody.finish(body, Fields.fromList([["sum", bytesOf("7")]]));
    expect((await received).toString()).toBe("one two");
    const end = pipeOf(answer).ended;
    const trailers = end?.kind === "finished" ? end.trailers : undefined;
    expect(trailers?.map(([name]) => name)).toEqual(["sum"]);
  });

  test("response-outparam streams at once what is too long to hold", async () => {
    using fixture = openHost();
    const { out, response } = arrive(fixture);
    const made = newResponse(fixture);
    const body = made.body();
    const stream = body.write();
    stream.write(new Uint8Array(MAX_WRITE_BYTES));
    ResponseOutparam.set(out, { tag: "ok", val: made });
    const answer = await response;
    const received = contentOf(answer);
    await stream.blockingWriteAndFlush(new Uint8Array(1));
    stream[Symbol.dispose]();
    OutgoingBody.finish(body, undefined);
    expect(await received).toHaveLength(MAX_WRITE_BYTES + 1);
  });

  test("response-outparam tells an error, nothing, the end of the guest", async () => {
    using fixture = openHost();
    const failing = arrive(fixture);
    ResponseOutparam.set(failing.out, { tag: "err", val: { tag: "connection-timeout" } });
    expect(await failing.response.catch((error: unknown) => error)).toEqual(
      new HttpError({ tag: "connection-timeout" }),
    );
    const dropped = arrive(fixture);
    dropped.out[Symbol.dispose]();
    expect(await dropped.response.catch((error: HttpError) => error.code)).toMatchObject({
      tag: "internal-error",
    });
    const trapped = arrive(fixture);
    fixture.instance.close();
    expect(await trapped.response.catch((error: HttpError) => error.code)).toMatchObject({
      tag: "internal-error",
    });
  });

  test("A response without a body is complete, and a broken one fails", async () => {
    using fixture = openHost();
    const empty = arrive(fixture);
    ResponseOutparam.set(empty.out, { tag: "ok", val: newResponse(fixture) });
    expect((await empty.response).body).toEqual(new Uint8Array());
    const broken = arrive(fixture);
    const made = newResponse(fixture);
    const body = made.body();
    ResponseOutparam.set(broken.out, { tag: "ok", val: made });
    body[Symbol.dispose]();
    expect(await broken.response.catch((error: HttpError) => error.code)).toEqual({
      tag: "HTTP-response-incomplete",
    });
  });

  test("A body keeps to the content-length of its message", async () => {
    using fixture = openHost();
    const long = newResponse(fixture, [["content-length", "3"]]).body();
    const stream = long.write();
    expect(refusal(() => stream.write(bytesOf("four")))).toMatchObject({
      tag: "last-operation-failed",
      val: { failure: { code: { tag: "HTTP-response-body-size", val: 4n } } },
    });
    const short = newResponse(fixture, [["content-length", "3"]]).body();
    expect(refusal(() => OutgoingBody.finish(short, undefined))).toEqual({
      tag: "HTTP-response-body-size",
      val: 0n,
    });
  });
});
