import { describe, expect, test } from "bun:test";
import { ByteInbox, CHANNEL, channelFrame, ChannelFrameReader } from "../../../lib/index.ts";
import { SpdyConnection, type SpdyStream } from "../../../lib/index.ts";
import { eventually } from "../../../lib/testing/eventually.ts";
import { type ApiFixture, apiFixture, PODS, USER_TOKEN } from "../../testing/api-fixture.ts";
import type { MessageSession, RawSession } from "./connection-upgrade.ts";

const V5 = "v5.channel.k8s.io";
const SOCKET = { upgrade: "websocket", "sec-websocket-protocol": V5 };
const SPDY = { upgrade: "SPDY/3.1", "x-stream-protocol-version": "v4.channel.k8s.io" };
const EXEC = `${PODS}/p/exec?command=sh&command=-c&stdin=true&stdout=true&stderr=true`;

/** A cluster with a node agent and a client's connection that are played by the test. */
class World {
  /** What the node was asked: method, path and, as it comes, input. */
  readonly asked: string[] = [];
  readonly output = new ByteInbox();
  /** What the client got. */
  readonly got: string[] = [];
  refusal: Response | undefined;
  session: MessageSession | undefined;
  raw: RawSession | undefined;
  client: SpdyConnection | undefined;
  api!: ApiFixture;

  static async create(): Promise<World> {
    const world = new World();
    world.api = await apiFixture({
      node: async (request) => world.#node(request),
      upgrader: {
        upgrade(_request, { protocol, open }) {
          world.got.push(`<${protocol}>`);
          world.session = open({
            send: (bytes) => world.got.push(`${bytes[0]} ${text(bytes.subarray(1))}`) > 0,
            close: (code, reason) => world.got.push(`<close ${code} ${reason}>`),
          });
          return true;
        },
        takeOver(_request, { open }) {
          world.raw = open({
            write: (bytes) => (world.client?.receive(bytes), true),
            pause: () => undefined,
            resume: () => undefined,
            end: () => world.got.push("<end>"),
          });
          return true;
        },
      },
    });
    await world.api.send("POST", PODS, {
      metadata: { name: "p" },
      spec: { nodeName: "node-1", containers: [{ name: "c", image: "i" }] },
    });
    await world.api.send(
      "PATCH",
      `${PODS}/p/status`,
      { status: { phase: "Running" } },
      { "content-type": "application/merge-patch+json" },
    );
    return world;
  }

  async refused(path: string, headers: Record<string, string>, method = "GET"): Promise<string> {
    const { status, json } = await this.api.send(method, path, undefined, headers);
    return `${status} ${String(json["reason"])}: ${String(json["message"])}`;
  }

  say(channel: number, words: string): void {
    this.output.push(channelFrame(channel, Buffer.from(words)));
  }

  #node(request: Request): Response {
    if (this.refusal !== undefined) return this.refusal.clone();
    const { pathname, search } = new URL(request.url);
    this.asked.push(`${request.method} ${pathname.replace(/[0-9a-f-]{36}/, "UID")}${search}`);
    void this.#listen(request);
    return new Response(this.output.stream);
  }

  async #listen(request: Request): Promise<void> {
    const reader = new ChannelFrameReader();
    for await (const chunk of request.body ?? []) {
      for (const { channel, payload } of reader.push(chunk)) {
        this.asked.push(`${channel} ${channel === 255 ? String(payload[0]) : text(payload)}`);
      }
    }
    this.asked.push("<gone>");
  }
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

describe("pods/exec", () => {
  test("pods/exec: channels of a WebSocket go to the node and back, to the end", async () => {
    const world = await World.create();
    await world.api.send("GET", EXEC, undefined, SOCKET);
    world.session?.message(Buffer.from("\x00in"));
    world.session?.message(Buffer.from('\x04{"Width":80,"Height":24}'));
    world.session?.message(new Uint8Array([255, 0]));
    await eventually(() => world.asked.length === 4);
    world.say(CHANNEL.stdout, "out");
    world.say(CHANNEL.error, '{"status":"Success"}');
    world.output.end();
    await eventually(() => world.asked.at(-1) === "<gone>");
    expect(world.asked).toEqual([
      "POST /exec/default/p/UID/c?command=sh&command=-c&input=1&output=1&error=1",
      "0 in",
      '4 {"Width":80,"Height":24}',
      "255 0",
      "<gone>",
    ]);
    expect(world.got).toEqual([
      `<${V5}>`,
      "1 ",
      "1 out",
      '3 {"status":"Success"}',
      "<close 1000 >",
    ]);
  });

  test("pods/exec: who leaves is told to the other side, client or node", async () => {
    const world = await World.create();
    await world.api.send("GET", EXEC, undefined, SOCKET);
    world.session?.closed();
    await eventually(() => world.asked.at(-1) === "<gone>");
    const other = await World.create();
    await other.api.send("GET", EXEC, undefined, SOCKET);
    other.output.fail(new Error("cut"));
    await eventually(() => other.got.at(-1) === "<close 1000 >");
    expect(other.got.at(-2)).toContain("the connection to the node was lost: cut");
  });

  test("pods/exec: messages that are not the client's to send end the session", async () => {
    const world = await World.create();
    const headers = { ...SOCKET, "sec-websocket-protocol": "v4.channel.k8s.io" };
    await world.api.send("GET", EXEC, undefined, headers);
    world.session?.message(new Uint8Array([255, 0]));
    expect(world.got.at(-1)).toBe("<close 1002 channel 255 is not the client's>");
    await eventually(() => world.asked.at(-1) === "<gone>");
  });

  test("pods/exec: over SPDY each channel is a stream, which ends by itself", async () => {
    const world = await World.create();
    world.client = new SpdyConnection({
      role: "client",
      transport: {
        write: (bytes) => (queueMicrotask(() => world.raw?.data(bytes)), true),
        pause: () => undefined,
        resume: () => undefined,
        close: () => undefined,
      },
    });
    await world.api.send("POST", EXEC, undefined, SPDY);
    const [error, stdin, stdout] = ["error", "stdin", "stdout", "stderr"].map((streamtype) =>
      world.client?.open({ streamtype }),
    ) as [SpdyStream, SpdyStream, SpdyStream];
    await stdin.write(Buffer.from("in"));
    stdin.end();
    await eventually(() => world.asked.includes("255 0"));
    world.say(CHANNEL.stdout, "out");
    world.say(CHANNEL.error, '{"status":"Success"}');
    world.output.end();
    expect(await new Response(stdout.readable).text()).toBe("out");
    expect(await new Response(error.readable).text()).toBe('{"status":"Success"}');
    expect(world.got).toEqual(["<end>"]);
    expect(world.asked.slice(1, 3)).toEqual(["0 in", "255 0"]);
  });

  test("pods/exec: what cannot be is refused before the protocol changes", async () => {
    const world = await World.create();
    expect(await world.refused(EXEC, {})).toBe("400 BadRequest: Upgrade request required");
    expect(await world.refused(`${EXEC}&container=d`, SOCKET)).toBe(
      "400 BadRequest: container d is not valid for pod p",
    );
    expect(await world.refused(`${PODS}/p/exec`, SOCKET)).toBe(
      "400 BadRequest: you must specify at least one command for the container",
    );
    expect(await world.refused(EXEC, { ...SOCKET, "sec-websocket-protocol": "x" })).toBe(
      "400 BadRequest: unable to upgrade: unable to negotiate protocol: client supports [x], " +
        "server accepts [v5.channel.k8s.io v4.channel.k8s.io]",
    );
    const none = `${PODS}/p/attach?stdout=false&stderr=false`;
    expect(await world.refused(none, SOCKET)).toBe(
      "400 BadRequest: you must specify at least 1 of stdin, stdout, stderr",
    );
    world.refusal = new Response('container not found ("c")\n', { status: 404 });
    expect(await world.refused(EXEC, SOCKET)).toBe(
      '400 BadRequest: unable to upgrade connection: container not found ("c")',
    );
    world.refusal = new Response("a WASM container runs one program\n", { status: 501 });
    expect(await world.refused(EXEC, SPDY, "POST")).toBe(
      "501 NotImplemented: pods/exec is not possible: a WASM container runs one program",
    );
    expect(world.got).toEqual([]);
  });

  test("pods/exec: a WebSocket asks for the right to create, beside that to get", async () => {
    const world = await World.create();
    const rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    const grant = async (...verbs: string[]): Promise<void> => {
      const rules = [{ apiGroups: [""], resources: ["pods/exec"], verbs }];
      const body = { metadata: { name: "r" }, rules };
      await world.api.send("DELETE", `${rbac}/roles/r`);
      await world.api.send("POST", `${rbac}/roles`, body);
    };
    await world.api.send("POST", `${rbac}/rolebindings`, {
      metadata: { name: "r" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "r" },
      subjects: [{ kind: "User", name: "bob" }],
    });
    const bob = { ...SOCKET, authorization: `Bearer ${USER_TOKEN}` };
    await grant("get");
    expect(await world.refused(EXEC, bob)).toStartWith(
      '403 Forbidden: pods "p" is forbidden: User "bob" cannot create resource "pods/exec"',
    );
    await grant("get", "create");
    await world.api.send("GET", EXEC, undefined, bob);
    expect(world.got[0]).toBe(`<${V5}>`);
  });
});

describe("pods/portforward", () => {
  test("pods/portforward: a pair of streams is a connection; why it failed is told", async () => {
    const world = await World.create();
    const wire: { client?: SpdyConnection } = {};
    await world.api.send("GET", `${PODS}/p/portforward`, undefined, {
      upgrade: "websocket",
      "sec-websocket-protocol": "SPDY/3.1+portforward.k8s.io",
    });
    expect(world.got).toEqual(["<SPDY/3.1+portforward.k8s.io>"]);
    wire.client = new SpdyConnection({
      role: "client",
      transport: {
        write: (bytes) => (queueMicrotask(() => world.session?.message(bytes)), true),
        pause: () => undefined,
        resume: () => undefined,
        close: () => undefined,
      },
    });
    const common = { port: "8080", requestid: "0" };
    wire.client.open({ ...common, streamtype: "error" }, { ended: true });
    const data = wire.client.open({ ...common, streamtype: "data" });
    await data.write(Buffer.from("ping"));
    data.end();
    await eventually(() => world.asked.length === 3);
    expect(world.asked).toEqual(["POST /portForward/default/p/UID?port=8080", "0 ping", "255 0"]);
    world.say(CHANNEL.stdout, "pong");
    world.say(CHANNEL.error, '{"status":"Failure","message":"it broke"}');
    await eventually(() => world.asked.at(-1) === "<gone>");
    const words = world.got.join("");
    expect(words).toContain("pong");
    expect(words).toContain("port 8080 of the pod: it broke");
  });
});
