import { expect, test } from "bun:test";
import { agreedFlags, givenSettings } from "./server-identity.ts";

const flags = { serviceNodePortRange: { from: 30_000, to: 32_767 } };

test("givenSettings: only what somebody asked for has to be as the cluster has it", () => {
  expect(givenSettings(flags)).toEqual({});
  const serviceNodePortRange = { from: 31_000, to: 31_100 };
  expect(givenSettings({ ...flags, serviceNodePortRange })).toEqual({ serviceNodePortRange });
});

test("agreedFlags: a server that joined has the ports of the cluster", () => {
  const settings = {
    clusterCidr: "127.42.0.0/16",
    serviceCidr: "127.43.0.0/16",
    serviceNodePortRange: { from: 31_000, to: 31_100 },
  };
  expect(agreedFlags(flags, undefined)).toEqual(flags);
  const agreed = agreedFlags(flags, { settings });
  expect(agreed.serviceNodePortRange).toEqual(settings.serviceNodePortRange);
});
