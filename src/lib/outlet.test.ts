import { describe, expect, test } from "bun:test";
import { Outlet, type OutletSocket } from "./outlet.ts";

/** A socket that takes so many bytes and no more until it is told to. */
class NarrowSocket implements OutletSocket {
  room = 0;
  text = "";
  ended: "no" | "half" | "whole" | "reset" = "no";

  write(bytes: Uint8Array): number {
    const taken = bytes.subarray(0, this.room);
    this.room -= taken.length;
    this.text += Buffer.from(taken).toString();
    return taken.length;
  }

  shutdown(): void {
    this.ended = "half";
  }

  end(): void {
    this.ended = "whole";
  }

  terminate(): void {
    this.ended = "reset";
  }
}

describe("Outlet", () => {
  test("Outlet holds a copy of what the socket did not take", () => {
    const socket = new NarrowSocket();
    const outlet = new Outlet(socket);
    const scratch = Buffer.from("hello");
    socket.room = 2;
    expect(outlet.write(scratch)).toBe(false);
    scratch.fill("x");
    expect(outlet.write(scratch.subarray(0, 1))).toBe(false);
    scratch.fill("y");
    outlet.finish();
    expect([outlet.empty, socket.ended]).toEqual([false, "no"]);
    socket.room = 100;
    expect(outlet.flush()).toBe(true);
    expect([socket.text, socket.ended]).toEqual(["hellox", "half"]);
  });

  test("Outlet gives a reader up that takes nothing of what it is sent", () => {
    const socket = new NarrowSocket();
    const outlet = new Outlet(socket, { maxHeldBytes: 10 });
    outlet.write(Buffer.alloc(10));
    expect(socket.ended).toBe("no");
    outlet.write(Buffer.alloc(1));
    expect([socket.ended, outlet.empty]).toEqual(["reset", true]);
  });
});
