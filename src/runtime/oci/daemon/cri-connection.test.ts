import { describe, expect, test } from "bun:test";
import { ManualClock, silentLogger } from "../../../lib/index.ts";
import { CriConnection } from "./cri-connection.ts";

describe("CriConnection", () => {
  test("CriConnection says at once that nobody listens where another CRI should", async () => {
    const connection = new CriConnection({
      socketPath: "/nonexistent/containerd.sock",
      onReady: async () => undefined,
      clock: new ManualClock(),
      logger: silentLogger,
    });
    const error = await connection.connected().catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: "unsupported",
      message:
        "no container runtime at unix:///nonexistent/containerd.sock: there is no such socket",
    });
    connection.close();
    const closed = await connection.connected().catch((reason: unknown) => reason);
    expect(closed).toMatchObject({ code: "unsupported" });
  });
});
