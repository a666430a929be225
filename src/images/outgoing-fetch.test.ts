import { expect, test } from "bun:test";
import { outgoingFetch } from "./outgoing-fetch.ts";

test("outgoingFetch sends headers, and leaves redirects and cancelling to its caller", async () => {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      const target = { location: request.headers.get("x-to") ?? "" };
      return new Response(null, { status: 307, headers: target });
    },
  });
  try {
    const headers = { "x-to": "https://elsewhere.invalid/" };
    const request = new Request(server.url, { headers, redirect: "manual" });
    const response = await outgoingFetch(request);
    expect(response.status).toBe(307);
    expect(response.headers.get("location")).toBe("https://elsewhere.invalid/");
    const cancelled = new Request(server.url, { signal: AbortSignal.abort(new Error("enough")) });
    expect(outgoingFetch(cancelled)).rejects.toThrow("enough");
  } finally {
    await server.stop(true);
  }
});
