import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createDistributionApp, openImageStore } from "../../src/images/index.ts";
import type { ImageStore } from "../../src/images/index.ts";
import { json, pushImage } from "../../src/images/testing/image-fixtures.ts";
import { componentWith } from "../../src/images/testing/wasm-fixtures.ts";
import { ManualClock, silentLogger } from "../../src/lib/index.ts";
import { eventually } from "../../src/lib/testing/eventually.ts";
import { kubectlWith } from "../harness/real-kubectl.ts";
import type { Kubectl } from "../harness/real-kubectl.ts";
import { KUBUN, runCommand, spawnServer, temporaryDirectory } from "../harness/spawned-server.ts";
import type { CommandResult, SpawnedServer } from "../harness/spawned-server.ts";

const workloads = join(import.meta.dir, "..", "..", "workloads");
const COMPONENT = join(workloads, "hello-component-c", "hello-component-c.wasm");
const MODULE = join(workloads, "hello-http", "hello-http.wasm");
const TEST_TIMEOUT_MS = 60_000;
const CREDENTIALS = { username: "me", password: "secret" };

/** How images get from a file to a pod: by the cluster's registry, another one, and from Spin. */
describe("images of workloads", () => {
  const temporary = temporaryDirectory();
  let server: SpawnedServer;
  let kubectl: Kubectl;
  let outside: ImageStore;
  let registry: ReturnType<typeof Bun.serve>;
  let host: string;

  beforeAll(async () => {
    server = await spawnServer();
    kubectl = kubectlWith(server.kubeconfig);
    const directory = join(temporary, "outside");
    outside = openImageStore({ directory, clock: new ManualClock(), logger: silentLogger });
    const wanted = `Basic ${btoa(`${CREDENTIALS.username}:${CREDENTIALS.password}`)}`;
    const app = createDistributionApp({
      images: outside,
      authorize: (request) =>
        request.headers.get("authorization") === wanted ? "allow" : "unauthenticated",
    });
    registry = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: app.fetch });
    host = `127.0.0.1:${registry.port}`;
  }, TEST_TIMEOUT_MS);

  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await registry.stop(true);
    await outside.close();
    rmSync(temporary, { recursive: true, force: true });
  }, TEST_TIMEOUT_MS);

  /** `kubun image …`, with the registry's credentials where Docker keeps them. */
  async function image(...words: string[]): Promise<CommandResult> {
    const config = { auths: { [host]: { auth: btoa("me:secret") } } };
    writeFileSync(join(temporary, "config.json"), JSON.stringify(config));
    const result = await runCommand([KUBUN, "image", ...words], {
      env: { DOCKER_CONFIG: temporary },
    });
    expect(result.exitCode === 0 ? "" : result.stderr).toBe("");
    return result;
  }

  const push = (file: string, name: string): Promise<CommandResult> =>
    image("push", "--data-dir", server.dataDir, file, name);

  async function create(name: string, reference: string, secret?: string): Promise<void> {
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name },
      spec: {
        runtimeClassName: "wasi",
        containers: [{ name: "app", image: reference, ports: [{ containerPort: 8080 }] }],
        ...(secret === undefined ? {} : { imagePullSecrets: [{ name: secret }] }),
      },
    };
    await kubectl.feed(JSON.stringify(pod), "apply", "-f", "-");
  }

  const field = (name: string, path: string): Promise<string> =>
    kubectl.ok("get", "pod", name, "-o", `jsonpath={${path}}`);

  async function running(name: string): Promise<string> {
    await kubectl.ok("wait", "--for=condition=Ready", `pod/${name}`, "--timeout=30s");
    return field(name, ".status.containerStatuses[0].imageID");
  }

  async function waitingMessage(name: string): Promise<string> {
    const path = ".status.containerStatuses[0].state.waiting.message";
    let message = "";
    await eventually(async () => (message = await field(name, path)) !== "", { what: name });
    return message;
  }

  const digestIn = (text: string): string => /sha256:[0-9a-f]{64}/.exec(text)?.[0] ?? "none";

  test(
    "an image pinned by its digest stays what it was when the tag moves on",
    async () => {
      const first = digestIn((await push(COMPONENT, "pinned:v1")).stdout);
      const second = digestIn((await push(MODULE, "pinned:v1")).stdout);
      expect(second).not.toBe(first);
      await create("by-digest", `pinned@${first}`);
      await create("by-both", `pinned:v1@${first}`);
      await create("by-tag", "pinned:v1");
      expect(await running("by-digest")).toContain(first);
      expect(await running("by-both")).toContain(first);
      expect(await running("by-tag")).toContain(second);
      const absent = `sha256:${"0".repeat(64)}`;
      await create("by-absent", `pinned@${absent}`);
      expect(await waitingMessage("by-absent")).toContain(absent);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "an image of another registry is pulled with the pod's imagePullSecrets",
    async () => {
      const name = `${host}/team/app:v1`;
      const digest = digestIn((await push(COMPONENT, name)).stdout);
      const { stdout } = await image("inspect", "--data-dir", server.dataDir, name, "-o", "json");
      expect(JSON.parse(stdout)).toMatchObject({ kind: "component", digest });
      await create("without", name);
      expect(await waitingMessage("without")).toContain(`registry ${host} needs credentials`);
      const { username, password } = CREDENTIALS;
      const login = [`--docker-server=${host}`, `--docker-username=${username}`];
      const secret = ["create", "secret", "docker-registry"];
      await kubectl.ok(...secret, "wrong", ...login, "--docker-password=guessed");
      await kubectl.ok(...secret, "right", ...login, `--docker-password=${password}`);
      await create("guessing", name, "wrong");
      expect(await waitingMessage("guessing")).toContain("with these credentials");
      await create("with", name, "right");
      expect(await running("with")).toContain(digest);
      await create("with-digest", `${host}/team/app@${digest}`, "right");
      expect(await running("with-digest")).toContain(digest);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "an image that Spin pushed runs, or the pod tells what is missing",
    async () => {
      const spin = async (name: string, wasm: Uint8Array<ArrayBuffer>): Promise<void> => {
        const digest = `sha256:${new Bun.CryptoHasher("sha256").update(wasm).digest("hex")}`;
        const source = { content_type: "application/wasm", digest };
        const application = {
          spin_lock_version: 0,
          metadata: { name },
          triggers: [{ id: "t", trigger_type: "http", trigger_config: { route: "/..." } }],
          components: [{ id: name, source, env: { GREETING: "Hello from Spin" } }],
        };
        const layers = [
          { mediaType: "application/vnd.wasm.content.layer.v1+wasm", bytes: wasm },
          {
            mediaType: "application/vnd.fermyon.spin.application.v1+config",
            bytes: json(application),
          },
        ];
        const config = {
          mediaType: "application/vnd.oci.image.config.v1+json",
          bytes: json({ architecture: "wasm", os: "wasip1", config: {} }),
        };
        const send = async (request: Request): Promise<Response> => {
          const { pathname, search } = new URL(request.url);
          const { method, headers } = request;
          return server.request(pathname + search, {
            method,
            headers,
            body: await request.arrayBuffer(),
          });
        };
        await pushImage(send, { repository: name, reference: "v1" }, config, layers);
      };
      await spin("standard", new Uint8Array(readFileSync(COMPONENT)));
      await create("standard", "standard:v1");
      await running("standard");
      const address = await field("standard", ".status.podIP");
      await eventually(async () =>
        (await (await fetch(`http://${address}:8080/`)).text()).startsWith(
          "Hello from Spin, this is standard",
        ),
      );
      const imports = ["fermyon:spin/redis@2.0.0"];
      const exports = ["wasi:http/incoming-handler@0.2.0"];
      await spin("own", componentWith({ imports, exports }));
      await create("own", "own:v1");
      expect(await waitingMessage("own")).toContain(
        "a Spin application that cannot run here: fermyon:spin/redis@2.0.0: Spin's own interface",
      );
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "a layout that kubun image build writes is copied by skopeo, or where there is none by kubun",
    async () => {
      for (const form of ["oci", "oci-archive"]) {
        const output = join(temporary, form === "oci" ? "layout" : "layout.tar");
        const built = await image("build", COMPONENT, "-o", output, "--tag", "v1");
        const name = `${host}/copied/${form}:v1`;
        if (Bun.which("skopeo") === null) {
          await push(output, name);
        } else {
          const flags = ["--dest-creds", "me:secret", "--dest-tls-verify=false"];
          const places = [`${form}:${output}:v1`, `docker://${name}`];
          const { exitCode, stderr } = await runCommand(["skopeo", "copy", ...flags, ...places]);
          expect(exitCode === 0 ? "" : stderr).toBe("");
        }
        expect(outside.registry.repositories.tags(`copied/${form}`)?.get("v1")).toBe(
          digestIn(built.stdout),
        );
      }
    },
    TEST_TIMEOUT_MS,
  );
});
