#!/bin/sh
# Builds hostile-component.wasm; workloads/wasi-http-c/build.sh tells what it wants.
set -eu
cd "$(dirname "$0")"
../../../workloads/wasi-http-c/build.sh "$PWD/hostile-component.c" "$PWD/hostile-component.wasm"
