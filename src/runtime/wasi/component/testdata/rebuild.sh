#!/bin/sh
# Rebuilds the components the tests run; the tests themselves need no compiler.
# Wants clang-19 and lld-19 (Debian's names).
set -eu
cd "$(dirname "$0")"
CC=${CC:-clang-19}
BUN=${BUN:-../../../../../node_modules/.bin/bun}
for world in service front command; do
  "$CC" --target=wasm32-unknown-unknown -std=c17 -Oz -Wall -Wextra -Wno-implicit-fallthrough -nostdlib \
    -ffile-prefix-map="$PWD"=. -Wl,--no-entry,--strip-debug -o "$world.core" "$world.c"
  "$BUN" make-component.ts "$world.core" "$world" "$world.wasm"
  rm "$world.core"
done
ls -l ./*.wasm
