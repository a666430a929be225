const LEGACY = /^_ZN(\d.*)17h[0-9a-f]{16}E/;
const ESCAPES: Readonly<Record<string, string>> = {
  SP: "@",
  BP: "*",
  RF: "&",
  LT: "<",
  GT: ">",
  LP: "(",
  RP: ")",
  C: ",",
};

/**
 * The path in a symbol of Rust's legacy mangling, which is what its name sections hold; any other
 * name stays as it is. `_ZN4core9panicking9panic_fmt17h768731f43edd91bfE` is
 * `core::panicking::panic_fmt`.
 */
export function rustSymbol(name: string): string {
  let rest = LEGACY.exec(name)?.[1];
  if (rest === undefined) return name;
  const parts: string[] = [];
  while (rest !== "") {
    const digits = /^\d+/.exec(rest)?.[0] ?? "";
    const end = digits.length + Number(digits);
    if (digits === "" || end > rest.length) return name;
    parts.push(unescaped(rest.slice(digits.length, end)));
    rest = rest.slice(end);
  }
  return parts.join("::");
}

function unescaped(part: string): string {
  return part
    .replace(/^_(?=\$)/, "")
    .replace(/\$u([0-9a-f]{1,5})\$/g, (_, hex: string) => String.fromCodePoint(parseInt(hex, 16)))
    .replace(/\$([A-Z]{1,2})\$/g, (whole, code: string) => ESCAPES[code] ?? whole)
    .replaceAll("..", "::");
}
