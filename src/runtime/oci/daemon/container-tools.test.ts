import { describe, expect, test } from "bun:test";
import { findContainerTools, type Machine } from "./container-tools.ts";

const machine: Machine = {
  platform: "linux",
  architecture: "x64",
  isRoot: true,
  path: "/opt/bin",
  which: (program) => `/usr/bin/${program}`,
};

describe("findContainerTools", () => {
  test("findContainerTools names every program, and looks where root's programs are", () => {
    expect(findContainerTools(machine)).toMatchObject({
      tools: { containerd: "/usr/bin/containerd", ctr: "/usr/bin/ctr", runc: "/usr/bin/runc" },
    });
    const paths: string[] = [];
    findContainerTools({ ...machine, which: (_, path) => void paths.push(path) });
    expect(paths[0]).toStartWith("/opt/bin:");
    expect(paths[0]).toContain(":/usr/sbin:");
  });

  test("findContainerTools says what is missing and how to get it", () => {
    const which = (program: string) => (program === "runc" ? undefined : `/usr/bin/${program}`);
    const found = JSON.stringify(findContainerTools({ ...machine, which }));
    expect(found).toContain("and runc is not on this machine");
    expect(found).toContain("apt-get install containerd runc");
  });

  test("findContainerTools says that a machine or a user cannot run containers", () => {
    expect(findContainerTools({ ...machine, platform: "darwin" })).toMatchObject({
      obstacle: "containers need Linux; this is darwin",
    });
    expect(findContainerTools({ ...machine, architecture: "ppc64" })).toHaveProperty("obstacle");
    expect(findContainerTools({ ...machine, isRoot: false })).toMatchObject({
      obstacle: expect.stringContaining("root"),
    });
  });
});
