#!/bin/sh
# Rebuilds the committed .wasm files of all workloads, byte for byte the same with the same toolchain:
#   clang-19, lld-19, wasi-libc, libclang-rt-19-dev-wasm32, rustc, libstd-rust-dev-wasm32, lld-14
#   (Debian) and `npm ci` for AssemblyScript and the tools that make components.
# CC, and WASI_SYSROOT where wasi-libc is elsewhere, may be set.
set -eu
cd "$(dirname "$0")"
CC=${CC:-clang-19}
SYSROOT=${WASI_SYSROOT:+--sysroot=$WASI_SYSROOT}

# shellcheck disable=SC2086 # the sysroot option is empty or one word
"$CC" --target=wasm32-wasi $SYSROOT -std=c17 -Oz -flto -Wall -Wextra -Werror \
  -D_GNU_SOURCE -D_BSD_SOURCE -ffile-prefix-map="$PWD"=. \
  -Wl,--gc-sections,-s,--stack-first,-z,stack-size=262144 \
  -o hello-http/hello-http.wasm hello-http/hello-http.c

../node_modules/.bin/asc hello-wagi/assembly/index.ts --config hello-wagi/asconfig.json \
  --target release
ls -l hello-http/*.wasm hello-wagi/*.wasm
for workload in hello-component-c guestbook counter-keyvalue counter-rust; do "$workload/build.sh"; done
wasi-http-c/build.sh redis-page/redis-visits.c redis-page/redis-visits.wasm
