import { afterAll, expect, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OpenFiles } from "../filesystem/shared-directory.ts";
import { BlobDirectory, type TemporaryFile } from "./blob-directory.ts";

const root = mkdtempSync(join(tmpdir(), "kubun-blob-directory-"));
afterAll(() => rmSync(root, { recursive: true }));

/** Beside somebody who puts a link in place of each file that is not finished. */
class WatchedDirectory extends BlobDirectory {
  override temporary(): TemporaryFile {
    const file = super.temporary();
    unlinkSync(join(root, "volume", file.name));
    symlinkSync("../secret", join(root, "volume", file.name));
    return file;
  }
}

test("BlobDirectory: a copy is written through no link that was put in its place", () => {
  const volume = join(root, "volume");
  mkdirSync(volume);
  writeFileSync(join(root, "secret"), "secret");
  writeFileSync(join(volume, "one"), "object");
  const files = new OpenFiles();
  const directory = new WatchedDirectory("default", files.handle(openSync(volume, "r")), files);
  directory.copyFrom(directory, "one", "two");
  expect(readFileSync(join(root, "secret"), "utf8")).toBe("secret");
  expect(directory.has("two")).toBe(false);
  files.end();
});
