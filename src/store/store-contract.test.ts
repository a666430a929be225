import { openTestStore } from "./testing/open-test-store.ts";
import { describeStoreContract } from "./testing/store-contract.ts";
import { TestGroup } from "./testing/test-group.ts";

describeStoreContract("a store alone", async () => {
  const { store, clock } = await openTestStore();
  return {
    store,
    settle: (work) => work,
    pass: (ms) => clock.advanceAsync(ms, ms),
    end: () => store.close(),
  };
});

describeStoreContract("a group of three", async () => {
  const group = await TestGroup.of(3);
  return {
    store: group.leader().store,
    settle: (work) => group.during(work),
    pass: (ms) => group.pass(ms),
    end: () => group.close(),
  };
});
