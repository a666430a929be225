import { describe, expect, test } from "bun:test";
import { SystemHostClock } from "../../host/host-clock.ts";
import { InstanceScope } from "../io/instance-scope.ts";
import { MAX_WRITE_BYTES } from "../io/output-stream.ts";
import { nextOf } from "../testing/bodies.ts";
import { bodyAtHand, BodyPipe } from "./body-pipe.ts";

describe("bodyAtHand", () => {
  test("bodyAtHand decides once, and leaves alone whoever sends the body then", async () => {
    const turns: (() => void)[] = [];
    const clock = new SystemHostClock();
    clock.nextTurn = (then) => void turns.push(then);
    const pipe = new BodyPipe(new InstanceScope(clock));
    pipe.write(new Uint8Array(MAX_WRITE_BYTES));
    await bodyAtHand(pipe, clock);
    expect(await nextOf(pipe)).toHaveLength(MAX_WRITE_BYTES);
    const next = nextOf(pipe);
    for (const turn of turns) turn();
    pipe.write(new Uint8Array([1, 2, 3]));
    expect(await next).toEqual(new Uint8Array([1, 2, 3]));
  });
});
