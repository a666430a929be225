import { describe, expect, test } from "bun:test";
import { tokenAuthenticator } from "../authenticator.ts";
import {
  ADMIN_TOKEN,
  apiFixture,
  type ApiFixture,
  type Reply,
  watchLines,
} from "../testing/api-fixture.ts";
import { NODES, nodeUserName } from "../user.ts";

const STORES = "/apis/kubun.dev/v1/namespaces/default/keyvaluestores";
const STORE = `${STORES}/counters`;
const TABLE = { accept: "application/json;as=Table;g=meta.k8s.io;v=v1" };
const MERGE = { "content-type": "application/merge-patch+json" };
const MIB = 1024 * 1024;

const value = (key: string, more = ""): string =>
  `${STORE}/values?key=${encodeURIComponent(key)}${more}`;

function said({ status, json }: Reply): string {
  const { message, status: outcome = "" } = json as { message?: string; status?: string };
  return `${status} ${message ?? outcome}`.trim();
}

async function limited(api: ApiFixture, annotations: Record<string, string>): Promise<void> {
  await api.send("PATCH", "/api/v1/namespaces/default", { metadata: { annotations } }, MERGE);
}

type Rule = readonly [title: string, method: string, path: string, body: unknown, answer: string];

const RULES: readonly Rule[] = [
  [
    "no key yet",
    "GET",
    value("a"),
    undefined,
    '404 keyvaluestores.kubun.dev "counters/a" not found',
  ],
  ["a first value", "PUT", value("a"), "one", "200 Success"],
  ["another value", "PUT", value("a"), "two", "200 Success"],
  ["a key with slashes", "PUT", value("a/b?c=%20"), "x", "200 Success"],
  ["only if new", "PUT", value("b", "&resourceVersion=0"), "1", "200 Success"],
  ["deleted once", "DELETE", value("a/b?c=%20"), undefined, "200 Success"],
  [
    "no path into a value",
    "GET",
    `${STORE}/values/a`,
    undefined,
    "404 the server could not find the requested resource",
  ],
  [
    "no other part",
    "GET",
    `${STORE}/other`,
    undefined,
    "404 the server could not find the requested resource",
  ],
  [
    "no other method",
    "POST",
    value("a"),
    "x",
    "405 the server does not allow this method on the requested resource",
  ],
  [
    "a key is named",
    "GET",
    `${STORE}/values`,
    undefined,
    "400 the query names no key: want ?key=KEY",
  ],
  ["not the empty key", "PUT", value(""), "x", "400 a key has at least one character"],
  ["1,024 bytes of key", "PUT", value("é".repeat(512)), "x", "200 Success"],
  [
    "not one more",
    "PUT",
    value(`${"é".repeat(512)}x`),
    "x",
    "400 the key has 1025 bytes, at most 1024 are allowed",
  ],
  [
    "no NUL",
    "PUT",
    value("a\0b"),
    "x",
    "400 a key is well-formed Unicode text without NUL characters",
  ],
  [
    "no bytes that are no text",
    "PUT",
    `${STORE}/values?key=%FF`,
    "x",
    "400 a key is well-formed Unicode text without NUL characters",
  ],
  ["the character for what is none is text", "PUT", value("\uFFFD"), "x", "200 Success"],
  ["1 MiB of value", "PUT", value("large"), new Uint8Array(MIB), "200 Success"],
  [
    "not one more byte",
    "PUT",
    value("large"),
    new Uint8Array(MIB + 1),
    "413 Request entity is too large: the value has 1048577 bytes, at most 1048576 are allowed",
  ],
  [
    "the name of a store",
    "PUT",
    `${STORES}/No_Store/values?key=a`,
    "x",
    '400 "No_Store" is no name of a store: lower case letters, digits and -, at most 63',
  ],
  [
    "a number",
    "POST",
    `${STORE}/increment?key=n&delta=ten`,
    undefined,
    '400 delta: "ten": want a whole number',
  ],
  [
    "of a value that is one",
    "POST",
    `${STORE}/increment?key=a`,
    undefined,
    '422 the value of "a" is no decimal number of 64 bits',
  ],
  [
    "within 64 bits",
    "POST",
    `${STORE}/increment?key=n&delta=9223372036854775808`,
    undefined,
    '422 the value of "n" cannot be incremented: 0 + 9223372036854775808 is no number of 64 bits',
  ],
  ["256 keys at once", "POST", `${STORE}/read`, { keys: Array(256).fill("a") }, "200"],
  [
    "not 257",
    "POST",
    `${STORE}/read`,
    { keys: Array(257).fill("a") },
    "400 257 keys in one call, at most 256 are allowed",
  ],
  [
    "base64",
    "POST",
    `${STORE}/batch`,
    { set: [{ key: "a", value: "?" }] },
    "400 the body is not as it should be: ✖ Invalid base64-encoded string\n  → at set[0].value",
  ],
  [
    "another namespace",
    "PUT",
    "/apis/kubun.dev/v1/namespaces/none/keyvaluestores/s/values?key=a",
    "x",
    '404 namespaces "none" not found',
  ],
];

describe("answerKeyValues", () => {
  test("answerKeyValues: the rules, one after another", async () => {
    const { send } = await apiFixture();
    for (const [title, method, path, body, answer] of RULES) {
      const reply = await send(method, path, body);
      expect([title, said(reply)]).toEqual([title, answer]);
    }
  });

  test("answerKeyValues: bytes come back as they were, with their revision", async () => {
    const { send, app } = await apiFixture();
    const bytes = new Uint8Array([0, 255, 10, 13, 0]);
    const put = await send("PUT", value("b"), bytes);
    const { resourceVersion } = put.json["metadata"] as { resourceVersion: string };
    const got = await app.request(value("b"), {
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, accept: "application/octet-stream" },
    });
    expect(new Uint8Array(await got.arrayBuffer())).toEqual(bytes);
    expect(got.headers.get("etag")).toBe(`"${resourceVersion}"`);
    expect(got.headers.get("content-type")).toBe("application/octet-stream");
    expect((await send("HEAD", value("b"))).status).toBe(200);
    expect((await send("HEAD", value("c"))).status).toBe(404);
  });

  test("answerKeyValues: a compare writes over the named revision only", async () => {
    const { send } = await apiFixture();
    const put = async (text: string, expected: string) => {
      const { status, json } = await send("PUT", value("a", `&resourceVersion=${expected}`), text);
      return { status, ...(json["metadata"] as { resourceVersion?: string }) };
    };
    const first = await put("1", "0");
    expect(first.status).toBe(200);
    expect((await put("2", "0")).status).toBe(409);
    const second = await put("2", first.resourceVersion ?? "");
    expect(second.status).toBe(200);
    const late = await send("DELETE", value("a", `&resourceVersion=${first.resourceVersion}`));
    expect(said(late)).toBe(
      '409 Operation cannot be fulfilled on keyvaluestores.kubun.dev "counters": key "a" is at ' +
        `resourceVersion ${second.resourceVersion}, not ${first.resourceVersion}`,
    );
    expect((await send("GET", value("a"))).text).toBe("2");
  });

  test("answerKeyValues: a hundred increments at once add up", async () => {
    const { send } = await apiFixture();
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => send("POST", `${STORE}/increment?key=n&delta=2`)),
    );
    const values = answers.map(({ json }) => Number(json["value"])).sort((a, b) => a - b);
    expect(values).toEqual(Array.from({ length: 100 }, (_, index) => 2 * (index + 1)));
    const down = await send("POST", `${STORE}/increment?key=n&delta=-201`);
    expect(down.json["value"]).toBe("-1");
    expect((await send("GET", value("n"))).text).toBe("-1");
  });

  test("answerKeyValues: keys come in pages, by prefix, in order", async () => {
    const { send } = await apiFixture();
    const keys = Array.from({ length: 25 }, (_, index) => `k/${String(index).padStart(2, "0")}`);
    const set = ["other", ...keys].map((key) => ({ key, value: btoa(key) }));
    expect(said(await send("POST", `${STORE}/batch`, { set }))).toBe("200 Success");
    const found: string[] = [];
    let more = "";
    do {
      const page = await send("GET", `${STORE}/keys?prefix=k/&limit=10&continue=${more}`);
      const items = page.json["items"] as { key: string; bytes: number }[];
      expect(items.every(({ key, bytes }) => bytes === key.length)).toBe(true);
      found.push(...items.map(({ key }) => key));
      more = (page.json["metadata"] as { continue?: string }).continue ?? "";
    } while (more !== "");
    expect(found).toEqual(keys);
    await send("POST", `${STORE}/batch`, { delete: ["k/00", "k/01", "missing"] });
    const read = await send("POST", `${STORE}/read`, { keys: ["k/02", "k/01", "other"] });
    expect(read.json["items"]).toMatchObject([
      { key: "k/02", value: btoa("k/02") },
      null,
      { key: "other" },
    ]);
  });

  test("answerKeyValues: stores are objects that kubectl prints and deletes", async () => {
    const { send, clock } = await apiFixture();
    await send("PUT", value("a"), "x".repeat(2047));
    await send("PUT", `${STORES}/other/values?key=b`, "y");
    clock.advance(90_000);
    await send("PUT", value("later"), "");
    const table = await send("GET", STORES, undefined, TABLE);
    expect(table.json["rows"]).toMatchObject([
      { cells: ["counters", 2, "2Ki", "90s"] },
      { cells: ["other", 1, "2B", "90s"] },
    ]);
    const one = await send("GET", STORE);
    expect(one.json).toMatchObject({ kind: "KeyValueStore", status: { keys: 2, bytes: 2053 } });
    const { uid } = one.json["metadata"] as { uid: string };
    expect(uid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
    const preconditions = { uid: "another" };
    expect((await send("DELETE", STORE, { preconditions })).status).toBe(409);
    expect((await send("DELETE", `${STORE}?dryRun=All`)).status).toBe(200);
    expect((await send("GET", value("a"))).status).toBe(200);
    const deleted = await send("DELETE", STORE, { preconditions: { uid } });
    expect(deleted.json).toMatchObject({ status: "Success", details: { name: "counters", uid } });
    expect((await send("GET", STORE)).status).toBe(404);
    const all = "/apis/kubun.dev/v1/keyvaluestores";
    expect((await send("GET", all)).json["items"]).toMatchObject([{ metadata: { name: "other" } }]);
    expect((await send("DELETE", STORES)).status).toBe(200);
    expect((await send("GET", all)).json["items"]).toEqual([]);
    expect((await send("POST", STORES, { metadata: { name: "new" } })).status).toBe(405);
  });

  test("answerKeyValues: a namespace that ends takes no new keys", async () => {
    const { send } = await apiFixture();
    await send("POST", "/api/v1/namespaces", { metadata: { name: "team" } });
    const path = "/apis/kubun.dev/v1/namespaces/team/keyvaluestores/s";
    await send("PUT", `${path}/values?key=a`, "1");
    await send("DELETE", "/api/v1/namespaces/team");
    const refused = await send("PUT", `${path}/values?key=b`, "1");
    expect(said(refused)).toContain("because it is being terminated");
    expect((await send("DELETE", path)).status).toBe(200);
  });

  test("answerKeyValues: the quota of a namespace counts keys and their bytes", async () => {
    const api = await apiFixture();
    const { send } = api;
    await limited(api, { "kubun.dev/keyvalue-quota": "20", "kubun.dev/keyvalue-keys": "3" });
    expect((await send("PUT", value("a"), "123456789")).status).toBe(200);
    expect((await send("PUT", value("b"), "123456789")).status).toBe(200);
    const third = await send("PUT", value("c"), "");
    expect(said(third)).toBe(
      '403 keyvaluestores.kubun.dev "default" is forbidden: quota exceeded: namespace default ' +
        "has 2 keys and 20 bytes, at most 3 keys and 20 bytes are allowed (annotations " +
        "kubun.dev/keyvalue-keys and kubun.dev/keyvalue-quota of the Namespace)",
    );
    const { causes } = third.json["details"] as { causes: { reason: string }[] };
    expect(causes[0]?.reason).toBe("KeyValueQuotaExceeded");
    // Other stores of the namespace share it; less is always allowed, and makes room.
    expect((await send("PUT", `${STORES}/other/values?key=c`, "1")).status).toBe(403);
    expect((await send("PUT", value("b"), "1")).status).toBe(200);
    expect((await send("PUT", `${STORES}/other/values?key=c`, "1234567")).status).toBe(200);
    expect((await send("PUT", value("d"), "")).status).toBe(403);
    expect((await send("DELETE", value("a"))).status).toBe(200);
    expect((await send("PUT", value("d"), "")).status).toBe(200);
    expect((await send("PUT", value("e"), "")).status).toBe(403);
    await limited(api, { "kubun.dev/keyvalue-quota": "much" });
    expect(said(await send("PUT", value("d"), "1"))).toContain(
      'annotation kubun.dev/keyvalue-quota of namespace default: "much"',
    );
    expect((await send("DELETE", value("d"))).status).toBe(200);
  });

  test("answerKeyValues: a watch tells what is there, then every change, or 410", async () => {
    const { send, app, store } = await apiFixture();
    await send("PUT", value("a"), "1");
    const begin = await watchLines(app, `${STORE}/keys?watch=true`, 2);
    expect(begin).toMatchObject([
      { type: "ADDED", object: { key: "a", value: btoa("1") } },
      { type: "BOOKMARK" },
    ]);
    const bookmark = begin[1] as { object: { resourceVersion: string } };
    const from = bookmark.object.resourceVersion;
    await send("PUT", value("a"), "2");
    await send("PUT", value("b"), "3");
    await send("PUT", `${STORES}/counters-2/values?key=a`, "4");
    await send("DELETE", value("a"));
    const path = `${STORE}/keys?watch=true&resourceVersion=${from}`;
    const lines = await watchLines(app, path, 3);
    expect(lines.map(({ type, object }) => [type, (object as { key: string }).key])).toEqual([
      ["MODIFIED", "a"],
      ["ADDED", "b"],
      ["DELETED", "a"],
    ]);
    const some = await watchLines(app, `${path}&prefix=b`, 1);
    expect(some).toMatchObject([{ type: "ADDED", object: { key: "b" } }]);
    await store.compact(store.revision);
    const late = await watchLines(app, path, 1);
    expect(late).toMatchObject([{ type: "ERROR", object: { code: 410, reason: "Expired" } }]);
    expect((await send("GET", `${STORE}/keys?watch=true&resourceVersion=x`)).status).toBe(400);
  });

  test("answerKeyValues: roles and nodes get what is theirs", async () => {
    const users = new Map([
      [ADMIN_TOKEN, { name: "admin", groups: ["system:masters"] }],
      ["viewer", { name: "viewer", groups: [] }],
      ["editor", { name: "editor", groups: [] }],
      ["pi", { name: nodeUserName("pi"), groups: [NODES] }],
      ["mac", { name: nodeUserName("mac"), groups: [NODES] }],
    ]);
    const { send } = await apiFixture({ authenticator: tokenAuthenticator(users) });
    const as = async (token: string, method: string, path: string): Promise<number> =>
      (await send(method, path, undefined, { authorization: `Bearer ${token}` })).status;
    for (const [user, role] of [
      ["viewer", "view"],
      ["editor", "edit"],
    ]) {
      await send("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", {
        metadata: { name: user },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role },
        subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: user }],
      });
    }
    await send("POST", "/api/v1/nodes", { metadata: { name: "pi" } });
    const annotations = { "kubun.dev/keyvalue-stores": "sessions, counters" };
    const spec = { nodeName: "pi", containers: [{ name: "c", image: "i" }] };
    await send("POST", "/api/v1/namespaces/default/pods", {
      metadata: { name: "p", annotations },
      spec,
    });
    const add = `${STORE}/increment?key=n`;
    const statuses = async (method: string, path: string): Promise<number[]> => [
      await as("viewer", method, path),
      await as("editor", method, path),
      await as("pi", method, path),
      await as("mac", method, path),
    ];
    expect(await statuses("POST", add)).toEqual([403, 200, 200, 403]);
    expect(await statuses("GET", value("n"))).toEqual([200, 200, 200, 403]);
    expect(await statuses("GET", STORES)).toEqual([200, 200, 403, 403]);
    expect(await statuses("DELETE", `${STORE}?dryRun=All`)).toEqual([403, 200, 403, 403]);
    expect(await as("pi", "POST", `${STORES}/others/increment?key=n`)).toBe(403);
    const elsewhere = "/apis/kubun.dev/v1/namespaces/kube-system/keyvaluestores/counters";
    expect(await as("pi", "POST", `${elsewhere}/increment?key=n`)).toBe(403);
    await send("DELETE", "/api/v1/namespaces/default/pods/p?gracePeriodSeconds=0");
    expect(await as("pi", "GET", value("n"))).toBe(403);
  });
});
