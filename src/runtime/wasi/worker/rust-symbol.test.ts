import { expect, test } from "bun:test";
import { rustSymbol } from "./rust-symbol.ts";

test("rustSymbol tells the path of a mangled function, without its hash", () => {
  const cases = {
    _ZN4core9panicking9panic_fmt17h768731f43edd91bfE: "core::panicking::panic_fmt",
    _ZN3std9panicking19begin_panic_handler28_$u7b$$u7b$closure$u7d$$u7d$17h8ef066ac4d1e7406E:
      "std::panicking::begin_panic_handler::{{closure}}",
    "_ZN52_$LT$app..Order$u20$as$u20$core..ops..drop..Drop$GT$4drop17h0123456789abcdefE":
      "<app::Order as core::ops::drop::Drop>::drop",
    "_ZN1r4main17h6bb90cc9f4a014ccE.llvm.123": "r::main",
  };
  for (const [mangled, want] of Object.entries(cases)) expect(rustSymbol(mangled)).toBe(want);
});

test("rustSymbol leaves other names alone", () => {
  const names = [
    "main",
    "_start",
    "_ZN3foo3barEv",
    "_ZN99short17h768731f43edd91bfE",
    "_ZN1a17h768731f43edd91bE",
    "$u7b$",
    "",
  ];
  for (const name of names) expect(rustSymbol(name)).toBe(name);
});
