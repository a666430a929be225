import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GuestError, GuestTrap } from "../io/guest-error.ts";
import { MAX_RESOURCES } from "../io/instance-scope.ts";
import {
  bytesOf,
  imported,
  openHost,
  preopened,
  refusal,
  textOf,
  type HostFixture,
} from "../testing/host-fixture.ts";
import type { Descriptor } from "./descriptor.ts";
import { MAX_OPEN_FILES } from "./shared-directory.ts";

let outside: string;
let volume: string;

beforeEach(() => {
  outside = mkdtempSync(join(tmpdir(), "kubun-preview2-"));
  volume = join(outside, "volume");
  mkdirSync(join(volume, "dir"), { recursive: true });
  writeFileSync(join(volume, "file"), "hello world");
  writeFileSync(join(outside, "secret"), "secret");
});
afterEach(() => rmSync(outside, { recursive: true, force: true }));

function open(options: { readonly readOnly: boolean } = { readOnly: false }): HostFixture {
  return openHost({ preopens: [{ guestPath: "/data", hostPath: volume, ...options }] });
}

const read = { read: true };
const write = { write: true };
const change = { read: true, mutateDirectory: true };
const both = { read: true, write: true, mutateDirectory: true };

function create(root: Descriptor, path: string, content = ""): void {
  const file = root.openAt({}, path, { create: true, truncate: true }, write);
  file.write(bytesOf(content), 0n);
  file[Symbol.dispose]();
}

describe("Descriptor", () => {
  test("Descriptor reads and writes a file at offsets", () => {
    using fixture = open();
    const root = preopened(fixture.instance);
    const file = root.openAt({}, "file", {}, both);
    expect(file.getType()).toBe("regular-file");
    expect(file.getFlags()).toMatchObject({ read: true, write: true });
    const [part, atEnd] = file.read(5n, 6n);
    expect([textOf(part), atEnd]).toEqual(["world", false]);
    const [rest, end] = file.read(100n, 6n);
    expect([textOf(rest), end]).toEqual(["world", true]);
    expect(file.write(bytesOf("there"), 6n)).toBe(5n);
    file.setSize(8n);
    file.sync();
    file.syncData();
    file.advise(0n, 8n, "normal");
    expect(readFileSync(join(volume, "file"), "utf8")).toBe("hello th");
    expect(file.stat()).toMatchObject({ type: "regular-file", size: 8n, linkCount: 1n });
    expect(refusal(() => file.setSize(2n ** 60n))).toBe("file-too-large");
    expect(refusal(() => file.read(1n, 2n ** 63n))).toBe("invalid");
  });

  test("Descriptor streams a file, and its streams outlive it", async () => {
    using fixture = open();
    const root = preopened(fixture.instance);
    const file = root.openAt({}, "file", {}, both);
    const input = file.readViaStream(6n);
    const output = file.writeViaStream(0n);
    const append = file.appendViaStream();
    file[Symbol.dispose]();
    await output.blockingWriteAndFlush(bytesOf("HELLO"));
    append.write(bytesOf("!"));
    expect(textOf(input.read(100n))).toBe("world!");
    expect(refusal(() => input.read(100n))).toEqual({ tag: "closed" });
    expect(input.subscribe().ready()).toBe(true);
    expect(readFileSync(join(volume, "file"), "utf8")).toBe("HELLO world!");
  });

  test("Descriptor refuses what its flags or its kind do not allow", () => {
    using fixture = open();
    const root = preopened(fixture.instance);
    const reader = root.openAt({}, "file", {}, read);
    const writer = root.openAt({}, "file", {}, write);
    expect(refusal(() => reader.write(bytesOf("x"), 0n))).toBe("bad-descriptor");
    expect(refusal(() => reader.writeViaStream(0n))).toBe("bad-descriptor");
    expect(refusal(() => reader.setSize(0n))).toBe("bad-descriptor");
    expect(refusal(() => writer.read(1n, 0n))).toBe("bad-descriptor");
    expect(refusal(() => reader.readDirectory())).toBe("not-directory");
    expect(refusal(() => reader.openAt({}, "x", {}, read))).toBe("not-directory");
    expect(refusal(() => root.read(1n, 0n))).toBe("is-directory");
    expect(refusal(() => root.openAt({}, "dir", {}, write))).toBe("is-directory");
    expect(refusal(() => root.openAt({}, "file", { directory: true }, read))).toBe("not-directory");
    expect(refusal(() => root.openAt({}, "file/", {}, read))).toBe("not-directory");
    const flags = { create: true, directory: true };
    expect(refusal(() => root.openAt({}, "new", flags, read))).toBe("invalid");
    const exclusive = { create: true, exclusive: true };
    expect(refusal(() => root.openAt({}, "file", exclusive, write))).toBe("exist");
    expect(refusal(() => root.openAt({}, "none", {}, read))).toBe("no-entry");
    const child = root.openAt({}, "dir", { directory: true }, read);
    expect(refusal(() => create(child, "x"))).toBe("read-only");
  });

  test("Descriptor makes, lists, renames, links and removes entries", () => {
    using fixture = open();
    const root = preopened(fixture.instance);
    root.createDirectoryAt("made/");
    create(root, "made/one", "1");
    root.linkAt({}, "made/one", root, "made/two");
    root.symlinkAt("one", "made/three");
    expect(root.readlinkAt("made/three")).toBe("one");
    expect(root.statAt({}, "made/three").type).toBe("symbolic-link");
    expect(root.statAt({ symlinkFollow: true }, "made/three")).toMatchObject({ linkCount: 2n });
    const made = root.openAt({}, "made", { directory: true }, change);
    const entries = made.readDirectory();
    made[Symbol.dispose]();
    const found = [];
    for (let entry = entries.readDirectoryEntry(); entry; entry = entries.readDirectoryEntry()) {
      found.push(`${entry.type} ${entry.name}`);
    }
    expect(found.sort()).toEqual(["regular-file one", "regular-file two", "symbolic-link three"]);
    root.renameAt("made/two", root, "dir/moved");
    expect(refusal(() => root.removeDirectoryAt("made"))).toBe("not-empty");
    expect(refusal(() => root.unlinkFileAt("made"))).toBe("is-directory");
    expect(refusal(() => root.removeDirectoryAt("dir/moved"))).toBe("not-directory");
    expect(refusal(() => root.createDirectoryAt("made"))).toBe("exist");
    root.unlinkFileAt("made/one");
    root.unlinkFileAt("made/three");
    root.removeDirectoryAt("made");
    expect(readdirSync(volume).sort()).toEqual(["dir", "file"]);
  });

  test("Descriptor knows what is the same object", () => {
    using fixture = open();
    const root = preopened(fixture.instance);
    root.linkAt({}, "file", root, "same");
    create(root, "other");
    const [one, two, three] = ["file", "same", "other"].map((path) =>
      root.openAt({}, path, {}, read),
    ) as [Descriptor, Descriptor, Descriptor];
    expect(one.isSameObject(two)).toBe(true);
    expect(one.isSameObject(three)).toBe(false);
    expect(one.metadataHash()).toEqual(two.metadataHash());
    expect(one.metadataHash()).toEqual(root.metadataHashAt({}, "same"));
    expect(one.metadataHash()).not.toEqual(three.metadataHash());
  });

  test("Descriptor sets times to the nanosecond, now, or not at all", () => {
    using fixture = open();
    const root = preopened(fixture.instance);
    const time = { seconds: 1_000_000_000n, nanoseconds: 123_456_789 };
    root.setTimesAt({}, "file", { tag: "timestamp", val: time }, { tag: "timestamp", val: time });
    const file = root.openAt({}, "file", {}, read);
    expect(file.stat().dataModificationTimestamp).toEqual(time);
    file.setTimes({ tag: "now" }, { tag: "no-change" });
    const stat = file.stat();
    expect(stat.dataModificationTimestamp).toEqual(time);
    expect(stat.dataAccessTimestamp.seconds).toBeGreaterThan(1_000_000_000n);
    const far = { tag: "timestamp", val: { seconds: 2n ** 60n, nanoseconds: 0 } } as const;
    expect(refusal(() => file.setTimes(far, far))).toBe("overflow");
  });

  test("Descriptor lets nothing lead out of its directory", () => {
    using fixture = open();
    const root = preopened(fixture.instance);
    symlinkSync("../secret", join(volume, "relative"));
    symlinkSync(join(outside, "secret"), join(volume, "absolute"));
    symlinkSync("..", join(volume, "up"));
    const follow = { symlinkFollow: true };
    const paths = ["..", "../secret", "/etc/passwd", "dir/../../secret", "relative", "absolute"];
    for (const path of [...paths, "up/secret", "up/volume/file"]) {
      expect(refusal(() => root.openAt(follow, path, {}, read))).toBe("not-permitted");
      expect(refusal(() => root.statAt(follow, path))).toBe("not-permitted");
      expect(refusal(() => root.metadataHashAt(follow, path))).toBe("not-permitted");
      const now = { tag: "now" } as const;
      expect(refusal(() => root.setTimesAt(follow, path, now, now))).toBe("not-permitted");
    }
    for (const path of ["../new", "/new", "up/new"]) {
      expect(refusal(() => root.createDirectoryAt(path))).toBe("not-permitted");
      expect(refusal(() => create(root, path))).toBe("not-permitted");
      expect(refusal(() => root.renameAt("file", root, path))).toBe("not-permitted");
      expect(refusal(() => root.linkAt({}, "file", root, path))).toBe("not-permitted");
      expect(refusal(() => root.symlinkAt("file", path))).toBe("not-permitted");
      expect(refusal(() => root.unlinkFileAt(path))).toBe("not-permitted");
      expect(refusal(() => root.removeDirectoryAt(path))).toBe("not-permitted");
    }
    expect(refusal(() => root.symlinkAt("/etc/passwd", "link"))).toBe("not-permitted");
    expect(refusal(() => root.readlinkAt("absolute"))).toBe("not-permitted");
    expect(refusal(() => root.openAt({}, "a\0b", {}, read))).toBe("invalid");
    expect(refusal(() => root.openAt({}, "", {}, read))).toBe("no-entry");
    expect(refusal(() => root.openAt({}, "a".repeat(5000), {}, read))).toBe("name-too-long");
    expect(readFileSync(join(outside, "secret"), "utf8")).toBe("secret");
    expect(readdirSync(outside).sort()).toEqual(["secret", "volume"]);
  });

  test("Descriptor of a read-only volume changes nothing", () => {
    using fixture = open({ readOnly: true });
    const root = preopened(fixture.instance);
    expect(root.getFlags()).toMatchObject({ read: true, mutateDirectory: false });
    const now = { tag: "now" } as const;
    const file = root.openAt({}, "file", {}, read);
    const calls = [
      () => root.openAt({}, "file", {}, write),
      () => root.openAt({}, "file", { truncate: true }, read),
      () => root.openAt({}, "new", { create: true }, read),
      () => root.openAt({}, "dir", {}, { read: true, mutateDirectory: true }),
      () => root.createDirectoryAt("new"),
      () => root.removeDirectoryAt("dir"),
      () => root.unlinkFileAt("file"),
      () => root.renameAt("file", root, "new"),
      () => root.linkAt({}, "file", root, "new"),
      () => root.symlinkAt("file", "new"),
      () => root.setTimesAt({}, "file", now, now),
      () => root.setTimes(now, now),
      () => file.setTimes(now, now),
    ];
    for (const call of calls) expect(refusal(call)).toBe("read-only");
    expect(readdirSync(volume).sort()).toEqual(["dir", "file"]);
  });

  test("Descriptor opens no more files than an instance may have, and the end closes all", () => {
    const openFiles = () => readdirSync("/proc/self/fd").length;
    const before = openFiles();
    {
      using fixture = open();
      const root = preopened(fixture.instance);
      const files = Array.from({ length: MAX_OPEN_FILES }, () => root.openAt({}, "file", {}, read));
      expect(refusal(() => root.openAt({}, "file", {}, read))).toBe("insufficient-memory");
      files[0]?.[Symbol.dispose]();
      files[1]?.readViaStream(0n);
      root.openAt({}, "file", {}, read).readViaStream(0n);
    }
    expect(openFiles()).toBe(before);
  });

  test("Descriptor that was dropped does not reach what is open under its number now", () => {
    using fixture = open();
    const root = preopened(fixture.instance);
    const file = root.openAt({}, "file", {}, both);
    file[Symbol.dispose]();
    const other = root.openAt({}, "other", { create: true }, both);
    const now = { tag: "now" } as const;
    const calls = [
      () => file.read(1n, 0n),
      () => file.write(bytesOf("x"), 0n),
      () => file.readViaStream(0n),
      () => file.appendViaStream(),
      () => file.stat(),
      () => file.sync(),
      () => file.setTimes(now, now),
      () => other.isSameObject(file),
      () => root.linkAt({}, "file", file, "new"),
    ];
    for (const call of calls) expect(call).toThrow(GuestTrap);
  });

  test("Descriptor leaks no file when the instance has no room for its stream", () => {
    const openFiles = () => readdirSync("/proc/self/fd").length;
    const before = openFiles();
    {
      using fixture = open();
      const file = preopened(fixture.instance).openAt({}, "file", {}, both);
      for (let made = 0; made < MAX_RESOURCES; made++) {
        try {
          file.readViaStream(0n);
        } catch (error) {
          expect(error).toBeInstanceOf(GuestTrap);
        }
      }
      expect(() => file.appendViaStream()).toThrow(GuestTrap);
    }
    expect(openFiles()).toBe(before);
  });

  test("A stream that fails tells the error code of the file system", () => {
    using fixture = open();
    const root = preopened(fixture.instance);
    const code = imported<(error: unknown) => string | undefined>(
      fixture.instance,
      "wasi:filesystem/types",
      "filesystemErrorCode",
    );
    const file = root.openAt({}, "file", {}, write);
    const stream = file.writeViaStream(BigInt(Number.MAX_SAFE_INTEGER) - 1n);
    try {
      stream.write(bytesOf("beyond"));
      throw new Error("written");
    } catch (error) {
      if (!(error instanceof GuestError)) throw error;
      const { tag, val } = error.payload as { tag: string; val: { toDebugString(): string } };
      expect(tag).toBe("last-operation-failed");
      expect(["file-too-large", "invalid"]).toContain(code(val) ?? "");
      expect(val.toDebugString()).toContain("filesystem");
    }
  });
});
