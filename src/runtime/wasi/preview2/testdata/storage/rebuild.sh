#!/bin/sh
# Rebuilds the components the tests run; the tests themselves need no compiler.
# Wants clang-19 and lld-19 (Debian's names).
set -eu
cd "$(dirname "$0")"
CC=${CC:-clang-19}
BUN=${BUN:-../../../../../../node_modules/.bin/bun}
for world in storage listener endless; do
  "$CC" --target=wasm32-unknown-unknown -std=c17 -Oz -Wall -Wextra -nostdlib \
    -ffile-prefix-map="$PWD"=. -Wl,--no-entry,--strip-debug -o "$world.core" "$world.c"
  "$BUN" ../../../component/testdata/make-component.ts "$world.core" "$world" "$world.wasm" "$PWD"
  rm "$world.core"
done
ls -l ./*.wasm
