import { expect, test } from "bun:test";
import { forwardedHeaders, forwardedUser } from "./front-proxy-headers.ts";

test("forwardedUser: gives back whoever forwardedHeaders were made for", () => {
  const users = [
    { name: "bob", groups: [] },
    { name: "eva, ädmin", uid: "7 7", groups: ["system:masters", "a,b", "ünï"] },
    { name: "x", groups: ["g"], extra: { "Example.com/Key": ["x, y", "z"], empty: [] } },
  ];
  for (const user of users) {
    expect(forwardedUser(forwardedHeaders(new Headers(), user))).toEqual(user);
  }
  expect(forwardedUser(new Headers({ "x-remote-group": "system:masters" }))).toBeUndefined();
});

test("forwardedHeaders: leaves out credentials, and what belongs to the connection", () => {
  const given = new Headers({
    accept: "application/json",
    authorization: "Bearer secret",
    connection: "keep-alive",
    "content-length": "7",
    "x-kubun-not-leader": "true",
    "x-remote-uid": "0",
  });
  const headers = forwardedHeaders(given, { name: "bob", groups: [] });
  expect([...headers.keys()].sort()).toEqual(["accept", "x-remote-group", "x-remote-user"]);
});
