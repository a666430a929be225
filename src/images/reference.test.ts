import { describe, expect, test } from "bun:test";
import { ImageError } from "./image-error.ts";
import { formatReference, parseReference, remoteReference } from "./reference.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;

describe("parseReference", () => {
  test.each([
    ["nginx", { repository: "nginx" }],
    ["nginx:1.27", { repository: "nginx", tag: "1.27" }],
    ["team/app", { repository: "team/app" }],
    ["docker.io/library/nginx", { host: "docker.io", repository: "library/nginx" }],
    ["localhost/app", { host: "localhost", repository: "app" }],
    ["localhost:5000/app:v1", { host: "localhost:5000", repository: "app", tag: "v1" }],
    ["[::1]:5000/app", { host: "[::1]:5000", repository: "app" }],
    [
      `r.example:5000/a/b__c/d-e:T@${DIGEST}`,
      {
        host: "r.example:5000",
        repository: "a/b__c/d-e",
        tag: "T",
        digest: DIGEST,
      },
    ],
  ])("parseReference splits %s, and formatReference puts it together again", (text, parts) => {
    expect(parseReference(text)).toEqual(parts);
    expect(formatReference(parseReference(text))).toBe(text);
  });

  test.each([
    "",
    "Nginx",
    "nginx:",
    "nginx:.x",
    "a//b",
    "/a",
    "a/",
    "nginx@sha256:abc",
    "a..b",
    "a b",
    "r.example:5000/",
    "host.example:99999999/a",
    `a:${"t".repeat(129)}`,
    "a".repeat(256),
    "../../etc/passwd",
    "-a",
    "a@b@c",
    "http://r.example/a",
  ])("parseReference refuses %p", (text) => {
    expect(() => parseReference(text)).toThrow(ImageError);
  });

  test("parseReference says what is wrong with a name in capitals", () => {
    expect(() => parseReference("team/App:v1")).toThrow(/must be lower case, got "team\/App"/);
  });
});

describe("remoteReference", () => {
  test.each([
    ["nginx", "docker.io/library/nginx:latest"],
    ["team/app:v1", "docker.io/team/app:v1"],
    ["index.docker.io/nginx", "docker.io/library/nginx:latest"],
    ["ghcr.io/nginx", "ghcr.io/nginx:latest"],
    [`nginx@${DIGEST}`, `docker.io/library/nginx@${DIGEST}`],
  ])("remoteReference reads %s as %s", (text, full) => {
    expect(formatReference(remoteReference(parseReference(text)))).toBe(full);
  });
});
