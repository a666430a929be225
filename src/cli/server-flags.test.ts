import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAgentFlags } from "./agent-flags.ts";
import { formatServerFlags, parseServerFlags } from "./server-flags.ts";

const TOKEN = `K1.${"0123456789abcdef".repeat(2)}.abc123.0123456789abcdef`;
const JOIN = "https://192.0.2.7:6443";

const DEFAULTS = {
  dataDir: "/tmp/kubun-test",
  bindAddress: "127.0.0.1",
  tlsSan: [],
  serviceNodePortRange: "30000-32767",
  logLevel: "info",
};

describe("parseServerFlags", () => {
  test("parseServerFlags turns text into ports and ranges", () => {
    const flags = parseServerFlags({
      ...DEFAULTS,
      httpsPort: "0",
      httpPort: "8080",
      tlsSan: ["kubun.example", "192.0.2.7"],
      clusterCidr: "127.60.0.0/16",
      serviceCidr: "127.61.0.0/16",
    });
    expect(flags.httpsPort).toBe(0);
    expect(flags.httpPort).toBe(8080);
    expect(flags.serviceNodePortRange).toEqual({ from: 30_000, to: 32_767 });
    expect(flags.clusterCidr).toBe("127.60.0.0/16");
  });

  test("parseServerFlags leaves out what was not given", () => {
    expect(Object.keys(parseServerFlags(DEFAULTS, {})).sort()).toEqual([
      "bindAddress",
      "clusterReset",
      "dataDir",
      "logLevel",
      "serviceNodePortRange",
      "takeOver",
      "tlsSan",
      "witness",
    ]);
  });

  const refused: [string, Record<string, unknown>, string][] = [
    [
      "a port above 65535",
      { httpsPort: "65536" },
      '--https-port "65536" is not allowed: give a port',
    ],
    ["a port that is a word", { httpPort: "web" }, '--http-port "web" is not allowed: give a port'],
    ["a bind address that is a name", { bindAddress: "here" }, '--bind-address "here" is not'],
    [
      "a container runtime without its socket",
      { containerRuntimeEndpoint: "unix://" },
      "unix:///run/containerd/containerd.sock, own or none",
    ],
    ["a range turned round", { serviceNodePortRange: "9-3" }, "--service-node-port-range"],
    ["a range with host bits", { clusterCidr: "127.42.0.1/16" }, "--cluster-cidr"],
    ["an unknown log level", { logLevel: "loud" }, '"debug", "info", "warn", "error"'],
    [
      "ranges that overlap",
      { clusterCidr: "127.0.0.0/8", serviceCidr: "127.43.0.0/16" },
      "overlaps",
    ],
    ["a server to join without TLS", { join: "http://192.0.2.7:6443" }, "--join"],
    ["a server to join with a path", { join: "https://192.0.2.7/x" }, "https://192.0.2.7:6443"],
    ["a token without a server to join", { token: TOKEN }, "--token is given without --join"],
    ["a token twice", { join: JOIN, token: TOKEN, tokenFile: "/x" }, "are both given"],
    ["a token file that is missing", { join: JOIN, tokenFile: "/nowhere" }, "ENOENT"],
    ["a reset of a server that joins", { clusterReset: true, join: JOIN }, "without --join"],
    ["a reset of a witness", { clusterReset: true, witness: true }, "without --witness"],
    [
      "etcd's endpoints with a witness",
      { datastoreEndpoint: "http://192.0.2.7:2379", witness: true },
      "give it without --witness",
    ],
    [
      "endpoints of two schemes",
      { datastoreEndpoint: "http://192.0.2.7:2379,https://192.0.2.8:2379" },
      "all http or all https",
    ],
    [
      "a certificate's file without its key",
      { datastoreEndpoint: "https://192.0.2.7:2379", datastoreCertfile: "/c" },
      "belong together",
    ],
    [
      "a certificate's file without TLS",
      { datastoreEndpoint: "http://192.0.2.7:2379", datastoreCafile: "/c" },
      "--datastore-cafile is given without",
    ],
    ["a peer address with a port", { peerAddress: "192.0.2.7:10250" }, "without a port"],
    ["a peer address for everybody", { peerAddress: "0.0.0.0" }, '--peer-address "0.0.0.0"'],
    ["a node name in upper case", { nodeName: "Node" }, '--node-name "Node" is not allowed'],
    [
      "a node name that no label holds",
      { nodeName: "a".repeat(64) },
      `--node-name "${"a".repeat(64)}" is not allowed: give a name in lower case such as node-1`,
    ],
    ["a node name with an empty part", { nodeName: "a..b" }, "at most 63, each part between dots"],
    ["a node address for everybody", { nodeIp: "0.0.0.0" }, '--node-ip "0.0.0.0"'],
    ["more pods than addresses", { maxPods: "4095" }, "give a number of pods from 1 to 4094"],
    [
      "a duration without a unit",
      { nodeMonitorGracePeriod: "40" },
      '--node-monitor-grace-period "40" is not allowed: give a duration',
    ],
    [
      "certificates that end at once",
      { clusterSigningDuration: "1s" },
      '--cluster-signing-duration "1s" is not allowed: give a duration from 10s to 87600h',
    ],
    [
      "seconds with a unit",
      { defaultNotReadyTolerationSeconds: "5s" },
      '--default-not-ready-toleration-seconds "5s" is not allowed',
    ],
  ];
  for (const [what, flags, message] of refused) {
    test(`parseServerFlags refuses ${what} and names the flag`, () => {
      expect(() => parseServerFlags({ ...DEFAULTS, ...flags }, {})).toThrow(message);
    });
  }

  test("parseServerFlags reads what a server among others needs", () => {
    const flags = parseServerFlags(
      {
        ...DEFAULTS,
        join: `${JOIN}/`,
        token: TOKEN,
        peerAddress: "one.example",
        nodeMonitorGracePeriod: "1m30s",
        defaultUnreachableTolerationSeconds: "0",
        datastoreEndpoint: "https://192.0.2.7:2379, https://192.0.2.8:2379",
      },
      {},
    );
    expect(flags).toMatchObject({
      join: JOIN,
      token: TOKEN,
      peerAddress: "one.example",
      nodeMonitorGracePeriodMs: 90_000,
      defaultUnreachableTolerationSeconds: 0,
      datastoreEndpoint: ["https://192.0.2.7:2379", "https://192.0.2.8:2379"],
    });
  });

  test("parseServerFlags takes what runs containers from the environment, if no flag tells", () => {
    const environment = { KUBUN_CONTAINER_RUNTIME_ENDPOINT: "none" };
    const endpoint = (given: Record<string, unknown>): string | undefined =>
      parseServerFlags({ ...DEFAULTS, ...given }, environment).containerRuntimeEndpoint;
    expect(endpoint({})).toBe("none");
    expect(endpoint({ containerRuntimeEndpoint: "own" })).toBe("own");
  });

  test("parseServerFlags never repeats a token in its errors", () => {
    const wrong = `${TOKEN}x`;
    const parse = (): unknown => parseServerFlags({ ...DEFAULTS, join: JOIN, token: wrong }, {});
    expect(parse).toThrow("kubun token create");
    expect(parse).not.toThrow(wrong.slice(-12));
  });

  test("parseServerFlags finds the token in a file and in the environment", () => {
    const directory = mkdtempSync(join(tmpdir(), "kubun-flags-"));
    try {
      const tokenFile = join(directory, "token");
      writeFileSync(tokenFile, `${TOKEN}\n`);
      const given = { ...DEFAULTS, join: JOIN };
      const environment = { KUBUN_TOKEN: TOKEN.replace("abc123", "zzzzzz") };
      expect(parseServerFlags({ ...given, tokenFile }, environment).token).toBe(TOKEN);
      expect(parseServerFlags(given, { KUBUN_TOKEN: TOKEN }).token).toBe(TOKEN);
      expect(parseAgentFlags({ ...given, tokenFile }, {}).token).toBe(TOKEN);
      expect(parseServerFlags(given, { KUBUN_TOKEN: "" }).token).toBeUndefined();
      writeFileSync(tokenFile, "\n");
      expect(() => parseServerFlags({ ...given, tokenFile }, {})).toThrow("is empty");
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe("formatServerFlags", () => {
  test("formatServerFlags gives words that are read back alike, without the token", () => {
    const flags = parseServerFlags(
      {
        ...DEFAULTS,
        join: JOIN,
        token: TOKEN,
        witness: true,
        tlsSan: ["a.example", "192.0.2.9"],
        peerPort: "0",
        nodeMonitorGracePeriod: "2.5s",
        clusterSigningDuration: "720h",
      },
      {},
    );
    const words = formatServerFlags(flags);
    expect(words.join(" ")).not.toContain("K1.");
    const given: Record<string, unknown> = { tlsSan: [], token: TOKEN };
    for (let index = 0; index < words.length; index++) {
      const name = (words[index] ?? "")
        .slice(2)
        .replace(/-./g, (text) => text.slice(1).toUpperCase());
      if (name === "witness") given[name] = true;
      else if (name === "tlsSan") (given[name] as unknown[]).push(words[++index]);
      else given[name] = words[++index];
    }
    expect(parseServerFlags(given, {})).toEqual(flags);
  });
});
