import { describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { connect } from "node:tls";
import { systemClock } from "../os/index.ts";
import { createCertificateAuthority, issueServerCertificate } from "../os/certificates.ts";
import { listenForApi, wishedPortOrAny } from "./listeners.ts";

/** With Bun's own options, which the type of browsers lacks. */
const BunWebSocket = WebSocket as unknown as new (
  url: string,
  options: Bun.WebSocketOptions,
) => WebSocket;

describe("listenForApi", () => {
  test("show: new connections get the new certificate, and what is open goes on", async () => {
    const ca = await createCertificateAuthority(Date.now());
    const keys = (name: string) =>
      issueServerCertificate({ ca, names: [name, "127.0.0.1"], nowMs: Date.now() });
    const hostname = "127.0.0.1";
    const choice = { type: "preferred" as const, port: 0 };
    const listener = listenForApi({
      hostname,
      choice,
      keys: await keys("first.example"),
      clientAuthority: ca.certificate,
      clock: systemClock,
    });
    const { port } = listener;
    let speak = (_text: string): void => undefined;
    listener.serve((request) => {
      const upgraded = listener.upgrade(request, {
        protocol: "echo",
        open: (socket) => ({
          message: (bytes) => void socket.send(bytes),
          drained: () => undefined,
          closed: () => undefined,
        }),
      });
      if (upgraded) return Promise.resolve(new Response(null));
      const { pathname } = new URL(request.url);
      if (pathname !== "/watch") return Promise.resolve(new Response("now"));
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          speak = (text) => controller.enqueue(Buffer.from(text));
          speak("a");
        },
      });
      return Promise.resolve(new Response(body));
    });
    const shown = (): Promise<string> => {
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      const socket = connect({ host: hostname, port, ca: ca.certificate }, () => {
        const { raw } = socket.getPeerCertificate();
        resolve(new X509Certificate(raw).subjectAltName ?? "");
        socket.destroy();
      });
      socket.on("error", reject);
      return promise;
    };
    const tls = { ca: ca.certificate };
    const watch = await fetch(`https://${hostname}:${port}/watch`, { tls });
    const reader = watch.body?.getReader();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe("a");
    expect(await shown()).toContain("first.example");

    for (const name of ["second.example", "third.example"]) {
      listener.show(await keys(name));
      expect(await shown()).toContain(name);
    }
    speak("b");
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe("b");
    expect(await (await fetch(`https://${hostname}:${port}/`, { tls })).text()).toBe("now");
    const echo = Promise.withResolvers<string>();
    const how: Bun.WebSocketOptions = { protocols: ["echo"], tls };
    const socket = new BunWebSocket(`wss://${hostname}:${port}/`, how);
    socket.addEventListener("open", () => socket.send("said"));
    socket.addEventListener("message", ({ data }) => echo.resolve(String(data)));
    socket.addEventListener("error", () => echo.reject(new Error("no WebSocket")));
    expect(await echo.promise).toContain("said");
    await listener.stop();
    // An end of the listener ends what came by earlier ones too.
    expect(
      await reader?.read().then(
        () => "read",
        () => "ended",
      ),
    ).toBe("ended");
  });
});

describe("wishedPortOrAny", () => {
  test("wishedPortOrAny: a taken port is any port when wished, and an error when given", () => {
    const hostname = "127.0.0.1";
    const taken = Bun.listen({ hostname, port: 0, socket: { data: () => undefined } });
    const { port } = taken;
    expect(wishedPortOrAny(hostname, { type: "preferred", port })).toBe(0);
    expect(wishedPortOrAny(hostname, { type: "preferred", port: 0 })).toBe(0);
    const given = { type: "given", port, flag: "--http-port" } as const;
    expect(() => wishedPortOrAny(hostname, given)).toThrow(`--http-port ${port} is in use`);
    taken.stop(true);
    expect(wishedPortOrAny(hostname, given)).toBe(port);
  });
});
