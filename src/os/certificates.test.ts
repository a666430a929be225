import { describe, expect, test } from "bun:test";
import { certificateCovers } from "./certificate-coverage.ts";
import { createCertificateAuthority, issueServerCertificate } from "./certificates.ts";

const NOW_MS = Date.UTC(2026, 0, 1);
const YEAR_MS = 365 * 24 * 60 * 60 * 1000;

describe("certificates", () => {
  test("issueServerCertificate makes what TLS clients accept for its names", async () => {
    const ca = await createCertificateAuthority(Date.now());
    const names = ["127.0.0.1", "::1", "localhost"];
    const pair = await issueServerCertificate({ ca, names, nowMs: Date.now() });
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      tls: { cert: pair.certificate, key: pair.privateKey },
      fetch: () => new Response("hello"),
    });
    try {
      const url = `https://127.0.0.1:${server.port}/`;
      const response = await fetch(url, { tls: { ca: ca.certificate } });
      expect(await response.text()).toBe("hello");
      const stranger = await createCertificateAuthority(Date.now());
      expect(fetch(url, { tls: { ca: stranger.certificate } })).rejects.toThrow();
    } finally {
      await server.stop(true);
    }
  });

  test("certificateCovers says no when a name, the issuer or the time is off", async () => {
    const ca = await createCertificateAuthority(NOW_MS);
    const other = await createCertificateAuthority(NOW_MS);
    const { certificate } = await issueServerCertificate({
      ca,
      names: ["127.0.0.1", "localhost"],
      nowMs: NOW_MS,
    });
    const covers = (names: string[], from = ca.certificate, untilMs = NOW_MS): boolean =>
      certificateCovers(certificate, { names, ca: from, untilMs });
    expect(covers(["localhost", "127.0.0.1"])).toBe(true);
    expect(covers(["localhost", "10.0.0.1"])).toBe(false);
    expect(covers(["example.org"])).toBe(false);
    expect(covers(["localhost"], other.certificate)).toBe(false);
    expect(covers(["localhost"], ca.certificate, NOW_MS + 2 * YEAR_MS)).toBe(false);
  });
});
