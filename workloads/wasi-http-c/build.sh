#!/bin/sh
# Builds a component from one C file: build.sh SOURCE.c COMPONENT.wasm
# Wants clang-19, lld-19, wasi-libc, libclang-rt-19-dev-wasm32 (Debian) and `npm ci`. CC, and
# WASI_SYSROOT where wasi-libc is elsewhere, may be set. The same toolchain gives the same bytes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
modules=$here/../../node_modules
CC=${CC:-clang-19}
SYSROOT=${WASI_SYSROOT:+--sysroot=$WASI_SYSROOT}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The packages that world.wit is written with.
mkdir -p "$work/wit/deps"
cp "$here/world.wit" "$work/wit"
cp -r "$here/wasi-config" "$here/wasi-keyvalue" "$modules"/@bytecodealliance/jco/lib/wit/builtin/0.2.12/* "$work/wit/deps"

# shellcheck disable=SC2086 # the sysroot option is empty or one word
"$CC" --target=wasm32-wasi $SYSROOT -mexec-model=reactor -std=c17 -Oz -flto -Wall -Wextra -Werror \
  -D_GNU_SOURCE -I"$here" -ffile-prefix-map="$here/.."=. \
  -Wl,--gc-sections,-s,--stack-first,-z,stack-size=65536 \
  -o "$work/core.wasm" "$1" "$here/wasi-http.c"
node "$here/make-component.mjs" "$work/wit" service "$work/core.wasm" "$2"
ls -l "$2"
