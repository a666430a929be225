import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NO_GRANTS } from "../../component/pod-grants.ts";
import { MAX_OPEN_FILES } from "../filesystem/shared-directory.ts";
import { GuestTrap } from "../io/guest-error.ts";
import {
  bytesOf,
  imported,
  openHost,
  refusal,
  textOf,
  type HostFixture,
} from "../testing/host-fixture.ts";
import { type Container, MAX_NAMES } from "./blob-container.ts";
import { TEMPORARY_PREFIX } from "./blob-directory.ts";
import { STALE_TEMPORARY_MS } from "./blob-store.ts";
import { type IncomingValue, MAX_SYNC_BYTES, type OutgoingValue } from "./blob-values.ts";
import type { InputStream } from "../io/input-stream.ts";

const root = mkdtempSync(join(tmpdir(), "kubun-blobs-"));
afterAll(() => rmSync(root, { recursive: true }));
let volume = "";
beforeEach(() => {
  volume = mkdtempSync(join(root, "volume-"));
});
const MAX_U64 = 2n ** 64n - 1n;

interface ObjectId {
  readonly container: string;
  readonly object: string;
}
interface Store {
  createContainer(name: string): Container;
  getContainer(name: string): Container;
  deleteContainer(name: string): void;
  containerExists(name: string): boolean;
  copyObject(from: ObjectId, to: ObjectId): void;
  moveObject(from: ObjectId, to: ObjectId): void;
}

function openBlobs(paths: Record<string, string> = { default: "/data/blobs" }) {
  const blobContainers = Object.entries(paths).map(([name, path]) => ({ name, path }));
  return openHost({
    preopens: [
      { guestPath: "/data", hostPath: volume, readOnly: false },
      { guestPath: "/ro", hostPath: volume, readOnly: true },
    ],
    grants: { ...NO_GRANTS, blobContainers },
  });
}

function storeOf({ instance }: HostFixture): Store {
  const take = <Name extends keyof Store>(name: Name) =>
    imported<Store[Name]>(instance, "wasi:blobstore/blobstore", name);
  return {
    createContainer: take("createContainer"),
    getContainer: take("getContainer"),
    deleteContainer: take("deleteContainer"),
    containerExists: take("containerExists"),
    copyObject: take("copyObject"),
    moveObject: take("moveObject"),
  };
}

function typesOf({ instance }: HostFixture) {
  const types = <Shape>(name: string) => imported<Shape>(instance, "wasi:blobstore/types", name);
  return {
    outgoing: types<{
      newOutgoingValue(): OutgoingValue;
      finish(value: OutgoingValue): void;
    }>("OutgoingValue"),
    incoming: types<{
      incomingValueConsumeSync(value: IncomingValue): Uint8Array;
      incomingValueConsumeAsync(value: IncomingValue): InputStream;
    }>("IncomingValue"),
  };
}

/** As most guests write: first the name, then the bytes, then the end. */
function put(fixture: HostFixture, container: Container, name: string, ...parts: string[]): void {
  const { outgoing } = typesOf(fixture);
  const value = outgoing.newOutgoingValue();
  container.writeData(name, value);
  const body = value.outgoingValueWriteBody();
  for (const part of parts) body.write(bytesOf(part));
  body[Symbol.dispose]();
  outgoing.finish(value);
}

function get(fixture: HostFixture, container: Container, name: string, start = 0n, end = MAX_U64) {
  return textOf(
    typesOf(fixture).incoming.incomingValueConsumeSync(container.getData(name, start, end)),
  );
}

const unfinished = () =>
  readdirSync(join(volume, "blobs")).filter((name) => name.startsWith(TEMPORARY_PREFIX));

describe("container", () => {
  test("container gives objects back, whole and in part, whatever they are called", () => {
    using fixture = openBlobs();
    const container = storeOf(fixture).getContainer("default");
    for (const name of ["a", "", "../../etc/passwd", "images/2024/🌍.png"]) {
      put(fixture, container, name, "hello ", "world");
      expect(get(fixture, container, name)).toBe("hello world");
      expect(container.hasObject(name)).toBe(true);
      expect(container.objectInfo(name)).toMatchObject({ name, container: "default", size: 11n });
    }
    expect(get(fixture, container, "a", 6n, 6n)).toBe("w");
    expect(get(fixture, container, "a", 6n, 100n)).toBe("world");
    expect(get(fixture, container, "a", 100n, 200n)).toBe("");
    expect(refusal(() => container.getData("a", 2n, 1n))).toContain("reversed");
    expect(refusal(() => container.getData("missing", 0n, 1n))).toBe("object missing: not found");
    expect(container.name()).toBe("default");
    expect(Number(container.info().createdAt)).toBeGreaterThan(1_600_000_000);
    expect(readdirSync(volume)).toEqual(["blobs"]);
  });

  test("container streams a value, which stays as it was when its object is replaced", async () => {
    using fixture = openBlobs();
    const container = storeOf(fixture).getContainer("default");
    put(fixture, container, "a", "first");
    const value = container.getData("a", 1n, 3n);
    expect(value.size()).toBe(3n);
    const stream = typesOf(fixture).incoming.incomingValueConsumeAsync(value);
    put(fixture, container, "a", "second");
    expect(textOf(await stream.blockingRead(100n))).toBe("irs");
    expect(refusal(() => stream.read(1n))).toEqual({ tag: "closed" });
    stream[Symbol.dispose]();
    expect(get(fixture, container, "a")).toBe("second");
    container.deleteObject("a");
    container.deleteObject("a");
    expect(container.hasObject("a")).toBe(false);
  });

  test("container has an object only when its value is finished", () => {
    using fixture = openBlobs();
    const { outgoing } = typesOf(fixture);
    const container = storeOf(fixture).getContainer("default");
    const value = outgoing.newOutgoingValue();
    const body = value.outgoingValueWriteBody();
    expect(refusal(() => value.outgoingValueWriteBody())).toBeUndefined();
    body.write(bytesOf("bytes before the name"));
    container.writeData("late", value);
    expect(refusal(() => container.writeData("other", value))).toContain("already");
    expect(container.hasObject("late")).toBe(false);
    expect(() => outgoing.finish(value)).toThrow(GuestTrap);
    body[Symbol.dispose]();
    outgoing.finish(value);
    expect(get(fixture, container, "late")).toBe("bytes before the name");
    const empty = outgoing.newOutgoingValue();
    container.writeData("empty", empty);
    outgoing.finish(empty);
    expect(get(fixture, container, "empty")).toBe("");
    const nowhere = outgoing.newOutgoingValue();
    expect(refusal(() => outgoing.finish(nowhere))).toContain("no container");
    expect(unfinished()).toEqual([]);
  });

  test("container keeps nothing of a value that was dropped, nor of an instance that ended", () => {
    {
      using fixture = openBlobs();
      const { outgoing } = typesOf(fixture);
      const container = storeOf(fixture).getContainer("default");
      for (const end of ["dropped", "left"]) {
        const value = outgoing.newOutgoingValue();
        container.writeData(end, value);
        const body = value.outgoingValueWriteBody();
        body.write(bytesOf("half"));
        expect(unfinished()).toHaveLength(1);
        if (end === "left") break;
        body[Symbol.dispose]();
        value[Symbol.dispose]();
        expect(unfinished()).toEqual([]);
      }
    }
    expect(readdirSync(join(volume, "blobs"))).toEqual([]);
  });

  test("container lists its objects in portions, and is cleared of them alone", () => {
    using fixture = openBlobs();
    const container = storeOf(fixture).getContainer("default");
    const names = ["a", "b/c", "..", "d"];
    for (const name of names) put(fixture, container, name, name);
    writeFileSync(join(volume, "blobs", `${TEMPORARY_PREFIX}x`), "");
    mkdirSync(join(volume, "blobs", "directory"));
    const listing = container.listObjects();
    const [first, ended] = listing.readStreamObjectNames(3n);
    expect([first.length, ended]).toEqual([3, false]);
    const [rest] = listing.readStreamObjectNames(MAX_U64);
    expect([...first, ...rest].sort()).toEqual([...names].sort());
    expect(listing.readStreamObjectNames(1n)).toEqual([[], true]);
    listing[Symbol.dispose]();
    const again = container.listObjects();
    expect(again.skipStreamObjectNames(3n)).toEqual([3n, false]);
    expect(again.skipStreamObjectNames(3n)).toEqual([1n, true]);
    container.deleteObjects(["a", "missing"]);
    expect(container.hasObject("a")).toBe(false);
    container.clear();
    expect(readdirSync(join(volume, "blobs")).sort()).toEqual([
      `${TEMPORARY_PREFIX}x`,
      "directory",
    ]);
  });
});

describe("blobstore", () => {
  test("blobstore copies and moves objects within containers and between them", () => {
    using fixture = openBlobs({ default: "/data/blobs", other: "/data/deep/other" });
    const store = storeOf(fixture);
    const [one, two] = [store.getContainer("default"), store.getContainer("other")];
    put(fixture, one, "a", "content");
    const at = (container: string, object: string) => ({ container, object });
    store.copyObject(at("default", "a"), at("other", "b"));
    store.moveObject(at("default", "a"), at("other", "c"));
    store.moveObject(at("other", "c"), at("other", "c"));
    expect(one.hasObject("a")).toBe(false);
    expect([get(fixture, two, "b"), get(fixture, two, "c")]).toEqual(["content", "content"]);
    expect(refusal(() => store.moveObject(at("default", "a"), at("other", "b")))).toContain(
      "a: not",
    );
    expect(refusal(() => store.copyObject(at("default", "a"), at("other", "b")))).toContain(
      "a: not",
    );
    expect(get(fixture, two, "b")).toBe("content");
  });

  test("blobstore deletes a container, and creates it again", () => {
    using fixture = openBlobs();
    const store = storeOf(fixture);
    expect(store.containerExists("default")).toBe(true);
    put(fixture, store.createContainer("default"), "a", "content");
    store.deleteContainer("default");
    expect(store.containerExists("default")).toBe(false);
    expect(refusal(() => store.getContainer("default"))).toBe("container default: not found");
    expect(store.createContainer("default").hasObject("a")).toBe(false);
  });

  test("blobstore without a grant is denied, and told once which annotation would do", () => {
    using fixture = openBlobs({});
    const store = storeOf(fixture);
    expect(refusal(() => store.getContainer("default"))).toContain("access denied");
    expect(refusal(() => store.containerExists("default"))).toContain("access denied");
    const value = typesOf(fixture).outgoing.newOutgoingValue();
    expect(refusal(() => value.outgoingValueWriteBody())).toBeUndefined();
    expect(fixture.notes).toHaveLength(1);
    expect(fixture.notes[0]).toContain("wasi:blobstore/blobstore");
    expect(fixture.notes[0]).toContain("kubun.dev/blob-containers");
  });

  test.each(["/elsewhere", "/ro/blobs"])("blobstore does not keep a container at %p", (path) => {
    using fixture = openBlobs({ default: path });
    expect(refusal(() => storeOf(fixture).getContainer("default"))).toContain("no volume");
  });

  test("blobstore follows no link out of the volume", () => {
    const outside = mkdtempSync(join(root, "outside-"));
    writeFileSync(join(outside, "secret"), "secret");
    symlinkSync(outside, join(volume, "linked"));
    mkdirSync(join(volume, "blobs"));
    symlinkSync(join(outside, "secret"), join(volume, "blobs", "link"));
    using fixture = openBlobs({ default: "/data/blobs", linked: "/data/linked/blobs" });
    const store = storeOf(fixture);
    expect(refusal(() => store.getContainer("linked"))).toContain("not-permitted");
    const container = store.getContainer("default");
    expect(refusal(() => container.getData("link", 0n, 1n))).toContain("not an object");
    expect(container.hasObject("link")).toBe(false);
    put(fixture, container, "link", "ours");
    expect(get(fixture, container, "link")).toBe("ours");
    expect(readFileSync(join(outside, "secret"), "utf8")).toBe("secret");
    expect(readdirSync(outside)).toEqual(["secret"]);
  });

  test("blobstore removes what a crash left, and not what is being written", () => {
    mkdirSync(join(volume, "blobs"));
    const [old, fresh] = ["old", "new"].map((name) =>
      join(volume, "blobs", `${TEMPORARY_PREFIX}${name}`),
    ) as [string, string];
    for (const path of [old, fresh]) writeFileSync(path, "half");
    const longAgo = new Date(Date.now() - STALE_TEMPORARY_MS - 60_000);
    utimesSync(old, longAgo, longAgo);
    using fixture = openBlobs();
    storeOf(fixture).getContainer("default");
    expect([existsSync(old), existsSync(fresh)]).toEqual([false, true]);
  });

  test("blobstore has limits of names, values at once and open objects", () => {
    using fixture = openBlobs();
    const container = storeOf(fixture).getContainer("default");
    const { incoming } = typesOf(fixture);
    expect(refusal(() => container.hasObject("x".repeat(256)))).toContain("longer than 255 bytes");
    put(fixture, container, "large", "");
    truncateSync(join(volume, "blobs", "large"), MAX_SYNC_BYTES + 1);
    const whole = container.getData("large", 0n, MAX_U64);
    expect(refusal(() => incoming.incomingValueConsumeSync(whole))).toContain("at once at most");
    const most = container.getData("large", 1n, MAX_U64);
    expect(incoming.incomingValueConsumeSync(most)).toHaveLength(MAX_SYNC_BYTES);
    // One is the container itself.
    const values = Array.from({ length: MAX_OPEN_FILES - 1 }, () =>
      container.getData("large", 0n, 1n),
    );
    expect(refusal(() => container.getData("large", 0n, 1n))).toContain("too many");
    for (const value of values) value[Symbol.dispose]();
    for (let index = 0; index <= MAX_NAMES; index++) {
      writeFileSync(join(volume, "blobs", `${index}`), "");
    }
    expect(container.listObjects().readStreamObjectNames(MAX_U64)[0]).toHaveLength(MAX_NAMES);
  });
});
