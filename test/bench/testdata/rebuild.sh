#!/bin/sh
# Builds what the benchmarks run; they themselves need no compiler. workloads/build.sh tells what
# this wants. CC, and WASI_SYSROOT where wasi-libc is elsewhere, may be set.
set -eu
cd "$(dirname "$0")"
CC=${CC:-clang-19}
SYSROOT=${WASI_SYSROOT:+--sysroot=$WASI_SYSROOT}
../../../workloads/wasi-http-c/build.sh "$PWD/bench-component.c" "$PWD/bench-component.wasm"
for program in trivial sha256 files serve; do
  # shellcheck disable=SC2086 # the sysroot option is empty or one word
  "$CC" --target=wasm32-wasi $SYSROOT -std=c17 -O2 -Wall -Wextra -Werror -D_GNU_SOURCE \
    -ffile-prefix-map="$PWD"=. -Wl,--gc-sections,-s -o "$program.wasm" "$program.c"
done
ls -l ./*.wasm
