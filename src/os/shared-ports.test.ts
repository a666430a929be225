import { describe, expect, test } from "bun:test";
import { openSharedPorts } from "./shared-ports.ts";

type Listener = Bun.TCPSocketListener;

function listen(name: string, options: { port: number; reusePort: boolean }): Listener {
  return Bun.listen({
    hostname: "127.0.0.1",
    ...options,
    socket: {
      data: () => undefined,
      open: (socket) => {
        socket.end(name);
      },
    },
  });
}

/** What whoever listens there says. */
function ask(port: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data: (_socket, chunk) => resolve(chunk.toString()),
      close: () => reject(new Error("closed without an answer")),
    },
  }).catch(reject);
  return promise;
}

describe("openSharedPorts", () => {
  test("openSharedPorts: a port is exclusive until it is shared, then leads on", async () => {
    const ports = openSharedPorts();
    const first = listen("first", { port: 0, reusePort: false });
    const { port } = first;
    expect(() => listen("stranger", { port, reusePort: true })).toThrow();

    expect(ports?.share()).toBeGreaterThan(0);
    // Nobody is there yet: the first goes on.
    ports?.leadToSuccessor();
    expect(await ask(port)).toBe("first");

    const second = listen("second", { port, reusePort: true });
    ports?.leadToSuccessor();
    const answers = await Promise.all(Array.from({ length: 32 }, () => ask(port)));
    expect(new Set(answers)).toEqual(new Set(["second"]));

    first.stop(false);
    expect(await ask(port)).toBe("second");

    // Who came second is the first of the next two, and the rule stands from the beginning.
    ports?.share();
    const third = listen("third", { port, reusePort: true });
    expect(await ask(port)).toBe("third");
    expect(() => listen("stranger", { port, reusePort: false })).toThrow();
    second.stop(false);
    third.stop(false);
  }, 10_000);
});
