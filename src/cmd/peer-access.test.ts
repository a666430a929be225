import { describe, expect, test } from "bun:test";
import { NODES_GROUP, SERVERS_GROUP } from "../os/index.ts";
import type { DialTunnel } from "../os/index.ts";
import type { Member, MemberId } from "../store/index.ts";
import { hasServerCertificate, isKubeletPath, isServer, tunnelsOver } from "./peer-access.ts";

function member(id: number, role: Member["role"]): Member {
  return { id: id as MemberId, name: `s${id}`, role, peerAddress: "", apiAddress: "" };
}

const membership = {
  members: () => [member(1, "voter"), member(2, "learner"), member(3, "witness")],
};

describe("isServer", () => {
  test("isServer: members that hold the state, by their own certificates", () => {
    const peer = (commonName: string, organization: string) =>
      isServer({ commonName, organizations: [organization] }, membership);
    expect(peer("kubun:member:1", SERVERS_GROUP)).toBe(true);
    expect(peer("kubun:member:2", SERVERS_GROUP)).toBe(true);
    expect(peer("kubun:member:3", SERVERS_GROUP)).toBe(false);
    // It was a member once.
    expect(peer("kubun:member:4", SERVERS_GROUP)).toBe(false);
    expect(peer("kubun:member:1", NODES_GROUP)).toBe(false);
  });

  test("hasServerCertificate: no node has one", () => {
    const of = (organization: string) =>
      hasServerCertificate({ commonName: "system:node:a", organizations: [organization] });
    expect([of(SERVERS_GROUP), of(NODES_GROUP)]).toEqual([true, false]);
  });
});

test("isKubeletPath: logs of containers, and nothing that only begins alike", () => {
  expect(isKubeletPath("/containerLogs/ns/pod/c")).toBe(true);
  expect(isKubeletPath("/containerLogsOfAll")).toBe(false);
  expect(isKubeletPath("/api/v1/nodes")).toBe(false);
});

test("tunnelsOver: dials a pod's node and nobody in its place", () => {
  const expected: unknown[] = [];
  const dialTunnel: DialTunnel = (_address, _target, _data, _handler, expect) => {
    expected.push(expect);
  };
  const tunnels = tunnelsOver({ dialTunnel });
  tunnels.dialTunnel("127.0.0.1:1", { ip: "10.0.0.1", port: 80 }, undefined, {}, "pi");
  expect(expected).toEqual([{ organizations: [SERVERS_GROUP, NODES_GROUP], nodeName: "pi" }]);
});
