import { describe, expect, test } from "bun:test";
import type { ResolvedImage } from "../../images/index.ts";
import { guestPorts } from "./image-status.ts";
import type { ContainerRecord } from "./state-directory.ts";

const image = { config: { ports: [8_080] } } as unknown as ResolvedImage;
const bare = { config: {} } as unknown as ResolvedImage;
const pod = { id: "pod", handler: "wasi" } as const;
const config = { name: "app", ports: [] };
const listening = (sandboxId: string, name: string): { record: ContainerRecord } => ({
  record: {
    sandboxId,
    config: { name, ports: [{ port: 8_080, protocol: "TCP" }] },
  } as unknown as ContainerRecord,
});

describe("guestPorts", () => {
  test("guestPorts: a container's own ports count, and its image's where it names none", () => {
    const own = [{ port: 80, protocol: "TCP" as const }];
    expect(guestPorts(image, { ...config, ports: own }, pod, [])).toEqual(own);
    expect(guestPorts(image, config, pod, [])).toEqual([{ port: 8_080, protocol: "TCP" }]);
    expect(guestPorts(bare, config, pod, [])).toEqual([]);
    expect(guestPorts(bare, config, { ...pod, handler: "wagi" }, [])).toHaveLength(1);
  });

  test("guestPorts: what another container of the pod listens on is taken", () => {
    expect(guestPorts(image, config, pod, [listening("pod", "other")])).toEqual([]);
    const elsewhere = [listening("pod", "app"), listening("another", "other")];
    expect(guestPorts(image, config, pod, elsewhere)).toHaveLength(1);
  });
});
