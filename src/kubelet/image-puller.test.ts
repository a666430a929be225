import { describe, expect, test } from "bun:test";
import type { Pod } from "../api/index.ts";
import { ManualClock } from "../lib/index.ts";
import { type ContainerRuntime, type ImageStatus, RuntimeError } from "../runtime/index.ts";
import { ImagePuller, MAX_REMEMBERED_FAILURES } from "./image-puller.ts";
import { PodEvents } from "./pod-events.ts";
import { pullCredentials } from "./pull-credentials.ts";

const POD: Pod = { metadata: { name: "web", namespace: "default", uid: "u" } };
const STATUS: ImageStatus = { reference: "app:v1", imageRef: "app@x", kind: "wasm", sizeBytes: 7 };
const NO_REFERENCES = { configMap: () => undefined, secret: () => undefined };

function setUp(answer: { present?: ImageStatus; error?: RuntimeError }) {
  const clock = new ManualClock();
  const events: string[] = [];
  let pulls = 0;
  const runtime = {
    imageStatus: async () => answer.present,
    pullImage: async () => {
      pulls++;
      if (answer.error !== undefined) throw answer.error;
      return STATUS;
    },
  } as unknown as ContainerRuntime;
  const recorder = new PodEvents({
    event: (_object, _type, reason, message) => void events.push(`${reason}: ${message}`),
    flushed: () => Promise.resolve(),
  });
  const puller = new ImagePuller({ runtime, clock, events: recorder });
  const ensure = (policy?: string, image = "app:v1") =>
    puller
      .ensure(
        POD,
        { name: "app", image, ...(policy === undefined ? {} : { imagePullPolicy: policy }) },
        { references: NO_REFERENCES, signal: new AbortController().signal },
      )
      .catch((error: unknown) => error);
  return { clock, events, ensure, pulls: () => pulls };
}

describe("ImagePuller", () => {
  test("ImagePuller: pulls by the policy of the container", async () => {
    const present = setUp({ present: STATUS });
    expect(await present.ensure()).toBe(STATUS);
    expect(present.pulls()).toBe(0);
    expect(await present.ensure("Always")).toBe(STATUS);
    expect(present.pulls()).toBe(1);
    const absent = setUp({});
    expect(await absent.ensure("Never")).toMatchObject({ reason: "ErrImageNeverPull" });
    expect(absent.pulls()).toBe(0);
    await absent.ensure("IfNotPresent");
    expect(absent.events.at(-2)).toBe('Pulling: Pulling image "app:v1"');
    expect(absent.events.at(-1)).toContain('Pulled: Successfully pulled image "app:v1" in 0ms');
  });

  test("ImagePuller: a failed pull backs off from 10 s, doubling to 5 min", async () => {
    const error = new RuntimeError("image-not-found", "app:v1: not found");
    const { ensure, clock, pulls, events } = setUp({ error });
    const waits: number[] = [];
    for (let attempt = 1; attempt <= 7; attempt++) {
      expect(await ensure()).toMatchObject({
        reason: "ErrImagePull",
        message: "app:v1: not found",
      });
      expect(pulls()).toBe(attempt);
      const refused = (await ensure()) as { reason: string; retryAfterMs: number };
      expect(refused.reason).toBe("ImagePullBackOff");
      waits.push(refused.retryAfterMs / 1000);
      clock.advance(refused.retryAfterMs);
    }
    expect(waits).toEqual([10, 20, 40, 80, 160, 300, 300]);
    expect(events).toContain('Failed: Failed to pull image "app:v1": app:v1: not found');
    expect(events).toContain('BackOff: Back-off pulling image "app:v1"');
  });

  test("ImagePuller: a name that is none is told as such", async () => {
    const error = new RuntimeError("image-invalid-reference", "repository name must be lower case");
    const { ensure } = setUp({ error });
    expect(await ensure(undefined, "App")).toMatchObject({ reason: "InvalidImageName" });
  });

  test("ImagePuller: forgets the oldest failure beyond its limit", async () => {
    const error = new RuntimeError("image-not-found", "none");
    const { ensure, pulls } = setUp({ error });
    for (let index = 0; index <= MAX_REMEMBERED_FAILURES; index++) {
      await ensure(undefined, `app:v${index}`);
    }
    const before = pulls();
    await ensure(undefined, "app:v0");
    expect(pulls()).toBe(before + 1);
    await ensure(undefined, `app:v${MAX_REMEMBERED_FAILURES}`);
    expect(pulls()).toBe(before + 1);
  });
});

describe("pullCredentials", () => {
  test("pullCredentials: finds the entry of the image's registry", () => {
    const config = {
      auths: {
        "https://index.docker.io/v1/": { auth: Buffer.from("hub:a:b").toString("base64") },
        "registry.example:5000": { username: "me", password: "secret" },
      },
    };
    const data = { ".dockerconfigjson": Buffer.from(JSON.stringify(config)).toString("base64") };
    const references = {
      configMap: () => undefined,
      secret: (name: string) => (name === "regcred" ? { metadata: {}, data } : undefined),
    };
    const pod: Pod = {
      metadata: {},
      spec: { containers: [], imagePullSecrets: [{ name: "none" }, { name: "regcred" }] },
    };
    const found = (image: string) => pullCredentials(pod, image, references);
    expect(found("registry.example:5000/app:v1")).toEqual({ username: "me", password: "secret" });
    expect(found("nginx")).toEqual({ username: "hub", password: "a:b" });
    expect(found("other.example/app")).toBeUndefined();
  });
});
