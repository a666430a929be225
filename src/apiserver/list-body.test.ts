import { expect, test } from "bun:test";
import { listBody, WHOLE_BYTES } from "./list-body.ts";

const NAME = "é".repeat(100);

function textOf(count: number): { text: string; answer: Response; length: number } {
  const numbers = Array.from({ length: count }, (_, index) => index);
  const items = numbers.map((number) => ({
    head: `{"n":${number},`,
    stored: Buffer.from(`{"kind":"X","name":"${NAME}"}`),
    from: `{"kind":"X",`.length,
  }));
  const { body, length } = listBody({ head: '{"items":[', items, end: "]}" });
  const expected = { items: numbers.map((n) => ({ n, name: NAME })) };
  return { text: JSON.stringify(expected), answer: new Response(body), length };
}

test.each([0, 1, 2, 5_000])("a list of %i objects is the JSON of its objects", async (count) => {
  const { text, answer, length } = textOf(count);
  expect(await answer.text()).toBe(text);
  expect(length).toBe(Buffer.byteLength(text));
});

test("a long list comes in pieces", async () => {
  const { answer } = textOf(5_000);
  const sizes: number[] = [];
  for await (const piece of answer.body ?? []) sizes.push(piece.length);
  expect(sizes.length).toBeGreaterThan(3);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(WHOLE_BYTES);
});
