import { describe, expect, test } from "bun:test";
import { SystemHostClock } from "../../host/host-clock.ts";
import { BodyPipe } from "../http/body-pipe.ts";
import { nextOf, openBody } from "../testing/bodies.ts";
import { bytesOf, imported, openHost, refusal, textOf } from "../testing/host-fixture.ts";
import { GuestTrap } from "./guest-error.ts";
import { InputStream } from "./input-stream.ts";
import { InstanceScope } from "./instance-scope.ts";
import { IoFailure } from "./io-failure.ts";
import { MAX_WRITE_BYTES, OutputStream } from "./output-stream.ts";
import { Pollable, pollFunction, timerSource } from "./pollable.ts";

const newScope = () => new InstanceScope(new SystemHostClock());

describe("InputStream", () => {
  test("InputStream reads a body as it comes, chunk by chunk, to its end", async () => {
    const scope = newScope();
    const body = openBody();
    const stream = new InputStream(scope, body);
    expect(stream.read(3n)).toHaveLength(0);
    const pollable = stream.subscribe();
    const blocked = pollable.block();
    body.push(Buffer.from("hello"));
    await blocked;
    expect(pollable.ready()).toBe(true);
    expect(() => stream[Symbol.dispose]()).toThrow(GuestTrap);
    pollable[Symbol.dispose]();
    expect(textOf(stream.read(3n))).toBe("hel");
    expect(stream.skip(1n)).toBe(1n);
    expect(textOf(await stream.blockingRead(100n))).toBe("o");
    body.push(Buffer.from("world"));
    expect(await stream.blockingSkip(100n)).toBe(5n);
    expect(await stream.blockingRead(0n)).toHaveLength(0);
    body.end();
    const end = await Promise.try(() => stream.blockingRead(1n)).catch((error: unknown) => error);
    expect(end).toMatchObject({ payload: { tag: "closed" } });
    expect(refusal(() => stream.read(1n))).toEqual({ tag: "closed" });
  });

  test("InputStream tells a failure once, with its reason, and is closed after it", async () => {
    const body = openBody();
    const failure = new IoFailure("reset", {
      kind: "http",
      code: { tag: "connection-terminated" },
    });
    const stream = new InputStream(newScope(), body);
    const failed = Promise.resolve(stream.blockingRead(1n)).catch((thrown: unknown) => thrown);
    body.fail(failure);
    expect(await failed).toMatchObject({
      payload: { tag: "last-operation-failed", val: { failure: failure.failure } },
    });
    expect(refusal(() => stream.read(1n))).toEqual({ tag: "closed" });
  });

  test("InputStream closes what nobody reads any more", () => {
    let closed = false;
    const body = openBody(() => {
      closed = true;
    });
    new InputStream(newScope(), body)[Symbol.dispose]();
    expect(closed).toBe(true);
  });
});

describe("OutputStream", () => {
  test("OutputStream takes what check-write permits, and more is a trap", async () => {
    const scope = newScope();
    const pipe = new BodyPipe(scope);
    const stream = new OutputStream(scope, pipe);
    expect(stream.checkWrite()).toBe(BigInt(MAX_WRITE_BYTES));
    stream.write(new Uint8Array(MAX_WRITE_BYTES - 1));
    expect(stream.checkWrite()).toBe(1n);
    expect(() => stream.write(new Uint8Array(2))).toThrow(GuestTrap);
    stream.writeZeroes(1n);
    expect(stream.checkWrite()).toBe(0n);
    const pollable = stream.subscribe();
    expect(pollable.ready()).toBe(false);
    const blocked = pollable.block();
    expect(pipe.take()).toHaveLength(MAX_WRITE_BYTES);
    await blocked;
    expect(scope.heldBytes).toBe(0);
  });

  test("OutputStream makes a guest wait for a slow reader", async () => {
    const scope = newScope();
    const pipe = new BodyPipe(scope);
    const stream = new OutputStream(scope, pipe);
    const total = 10 * MAX_WRITE_BYTES;
    const write = async () => {
      for (let at = 0; at < total; at += 4096) {
        await stream.blockingWriteAndFlush(new Uint8Array(4096));
      }
      pipe.end({ kind: "finished", trailers: undefined });
    };
    const written = write();
    let received = 0;
    for (let chunk = await nextOf(pipe); chunk !== undefined; chunk = await nextOf(pipe)) {
      expect(chunk.length).toBeLessThanOrEqual(MAX_WRITE_BYTES);
      received += chunk.length;
    }
    await written;
    expect(received).toBe(total);
  });

  test("OutputStream fails when its reader went away", async () => {
    const scope = newScope();
    const pipe = new BodyPipe(scope);
    const stream = new OutputStream(scope, pipe);
    await stream.blockingWriteAndFlush(bytesOf("x"));
    pipe.cancel();
    expect(refusal(() => stream.checkWrite())).toMatchObject({
      tag: "last-operation-failed",
      val: { failure: { kind: "http", code: { tag: "connection-terminated" } } },
    });
    expect(refusal(() => stream.checkWrite())).toEqual({ tag: "closed" });
    expect(scope.heldBytes).toBe(0);
  });

  test("OutputStream splices from an input stream, and waits for both", async () => {
    const scope = newScope();
    const pipe = new BodyPipe(scope);
    const output = new OutputStream(scope, pipe);
    const body = openBody();
    const input = new InputStream(scope, body);
    expect(output.splice(input, 10n)).toBe(0n);
    const spliced = output.blockingSplice(input, 10n);
    body.push(Buffer.from("abc"));
    body.push(Buffer.from("defg"));
    expect(await spliced).toBe(3n);
    expect(await output.blockingSplice(input, 2n)).toBe(2n);
    expect(textOf(pipe.take() ?? new Uint8Array())).toBe("abcde");
  });
});

describe("poll", () => {
  test("poll answers with the indices of those that are ready", async () => {
    const scope = newScope();
    const poll = pollFunction(scope);
    const now = scope.clock.monotonicNs();
    const at = (deadlineNs: bigint) => new Pollable(scope, timerSource(scope, deadlineNs));
    const late = at(now + 3_600_000_000_000n);
    expect([...(await poll([late, at(0n), at(now)]))]).toEqual([1, 2]);
    expect([...(await poll([late, at(now + 5_000_000n)]))]).toEqual([1]);
    expect(() => poll([])).toThrow(GuestTrap);
    scope.close(new Error("over"));
  });

  test("poll lets the event loop run when a guest never waits", async () => {
    const scope = newScope();
    const poll = pollFunction(scope);
    const pollable = new Pollable(scope, timerSource(scope, 0n));
    let turned = false;
    scope.clock.nextTurn(() => {
      turned = true;
    });
    for (let call = 0; call < 200; call++) await poll([pollable]);
    expect(turned).toBe(true);
  });

  test("poll rejects when the instance ends, and what is left is ended", async () => {
    const scope = newScope();
    const pollable = new Pollable(scope, timerSource(scope, 2n ** 64n - 1n));
    const waiting = Promise.resolve(pollFunction(scope)([pollable])).catch(
      (error: unknown) => error,
    );
    scope.close(new Error("over"));
    expect(await waiting).toEqual(new Error("over"));
    expect(scope.resources).toBe(0);
    expect(() => new Pollable(scope, timerSource(scope, 0n))).toThrow("over");
  });
});

describe("Resource", () => {
  test("A resource that the host did not make is a trap, and so is one that was given away", () => {
    using fixture = openHost();
    const InputStreamClass = imported<typeof InputStream>(
      fixture.instance,
      "wasi:io/streams",
      "InputStream",
    );
    const forged = Object.create(InputStreamClass.prototype) as InputStream;
    expect(() => forged.read(1n)).toThrow(TypeError);
    const scope = newScope();
    const pollable = new Pollable(scope, timerSource(scope, 0n));
    pollable.surrender();
    expect(() => pollable.surrender()).toThrow(GuestTrap);
    pollable[Symbol.dispose]();
    expect(scope.resources).toBe(0);
  });
});
