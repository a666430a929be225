#!/bin/sh
# Builds bench-component.wasm; workloads/wasi-http-c/build.sh tells what it wants.
set -eu
cd "$(dirname "$0")"
../../../workloads/wasi-http-c/build.sh "$PWD/bench-component.c" "$PWD/bench-component.wasm"
