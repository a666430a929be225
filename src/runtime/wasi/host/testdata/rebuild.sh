#!/bin/sh
# Rebuilds the guests the tests run; the tests themselves need no compiler.
# Wants clang-19, lld-19, wasi-libc and libclang-rt-19-dev-wasm32 (Debian's names).
set -eu
cd "$(dirname "$0")"
CC=${CC:-clang-19}
build() {
  "$CC" --target=wasm32-wasi -std=c17 -Oz -Wall -Wextra -Werror -ffile-prefix-map="$PWD"=. \
    -Wl,--gc-sections,"$2",--stack-first,-z,stack-size="${3:-65536}" -o "$1.wasm" "$1.c"
}
for guest in probe hostile raw-calls; do build "$guest" -s; done
# Functions keep their names, for backtraces; the engine's stack ends before the guest's.
build trapper --strip-debug 16777216
ls -l ./*.wasm
