import { expect, test } from "bun:test";
import { decodeEnvelope } from "./decode-envelope.ts";

/** A varint field, or a length-delimited one from text, bytes or nested fields. */
type Field = [number, number | string | Uint8Array | Field[]];

function encode(fields: readonly Field[]): Uint8Array {
  const parts = fields.flatMap(([number, value]): Uint8Array[] => {
    if (typeof value === "number") return [varint(number << 3), varint(value)];
    const bytes =
      typeof value === "string"
        ? Buffer.from(value)
        : value instanceof Uint8Array
          ? value
          : encode(value);
    return [varint((number << 3) | 2), varint(bytes.length), bytes];
  });
  return Buffer.concat(parts);
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

function envelope(apiVersion: string, kind: string, object: readonly Field[]): Uint8Array {
  const type: Field = [
    1,
    [
      [1, apiVersion],
      [2, kind],
    ],
  ];
  return Buffer.concat([Buffer.from("k8s\0"), encode([type, [2, encode(object)]])]);
}

function decode(apiVersion: string, kind: string, object: readonly Field[]): unknown {
  return decodeEnvelope(envelope(apiVersion, kind, object), kind);
}

const META: Field = [
  1,
  [
    [1, "x"],
    [2, ""],
    [7, 0],
    [8, []],
    [
      11,
      [
        [1, "a"],
        [2, "b"],
      ],
    ],
  ],
];

test("decodeEnvelope: leaves out the zeros that the wire always carries", () => {
  expect(
    decode("v1", "ConfigMap", [
      META,
      [
        2,
        [
          [1, "k"],
          [2, "v"],
        ],
      ],
      [
        3,
        [
          [1, "b"],
          [2, "hi"],
        ],
      ],
    ]),
  ).toEqual({
    kind: "ConfigMap",
    apiVersion: "v1",
    metadata: { name: "x", labels: { a: "b" } },
    data: { k: "v" },
    binaryData: { b: "aGk=" },
  });
});

test("decodeEnvelope: keeps a zero that was set", () => {
  const deployment = decode("apps/v1", "Deployment", [
    META,
    [
      2,
      [
        [1, 0],
        [9, 0],
      ],
    ],
  ]);
  expect(deployment).toMatchObject({ spec: { replicas: 0, progressDeadlineSeconds: 0 } });
});

test("decodeEnvelope: reads quantities, times, ports and parts that JSON inlines", () => {
  const limits: Field = [
    1,
    [
      [1, "cpu"],
      [2, [[1, "500m"]]],
    ],
  ];
  const probe: Field = [
    10,
    [
      [
        1,
        [
          [
            2,
            [
              [1, "/z"],
              [
                2,
                [
                  [1, 1],
                  [3, "web"],
                ],
              ],
            ],
          ],
        ],
      ],
      [3, 5],
    ],
  ];
  const port: Field = [
    6,
    [
      [1, ""],
      [3, 80],
      [4, "TCP"],
    ],
  ];
  const container: Field = [2, [[1, "c"], [2, "i"], port, [8, [limits]], probe]];
  const volume: Field = [
    1,
    [
      [1, "v"],
      [2, [[2, []]]],
    ],
  ];
  const created: Field = [
    1,
    [
      [1, "p"],
      [8, [[1, 1_700_000_000]]],
    ],
  ];
  expect(decode("v1", "Pod", [created, [2, [volume, container]]])).toEqual({
    kind: "Pod",
    apiVersion: "v1",
    metadata: { name: "p", creationTimestamp: "2023-11-14T22:13:20Z" },
    spec: {
      volumes: [{ name: "v", emptyDir: {} }],
      containers: [
        {
          name: "c",
          image: "i",
          ports: [{ containerPort: 80, protocol: "TCP" }],
          resources: { limits: { cpu: "500m" } },
          livenessProbe: { httpGet: { path: "/z", port: "web" }, timeoutSeconds: 5 },
        },
      ],
    },
  });
});

test("decodeEnvelope: reads negative numbers", () => {
  const priority = decode("scheduling.k8s.io/v1", "PriorityClass", [META, [2, -5]]);
  expect(priority).toMatchObject({ value: -5 });
});

test("decodeEnvelope: refuses what is no message, and kinds it does not know", () => {
  const refusal = (bytes: Uint8Array): string => {
    try {
      decodeEnvelope(bytes, "Pod");
      return "accepted";
    } catch (error) {
      return (error as Error).message;
    }
  };
  expect(refusal(Buffer.from("{}"))).toContain("does not appear to be a protobuf message");
  expect(refusal(envelope("example.com/v1", "Thing", []))).toContain('no kind "Thing"');
  const whole = envelope("v1", "Pod", [META]);
  for (let end = 5; end < whole.length; end++) {
    const answer = refusal(whole.subarray(0, end));
    expect(answer === "accepted" || answer.includes("unrecognized")).toBe(true);
  }
});
