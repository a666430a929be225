#!/bin/sh
# Builds probe.wasm, a component that tries the host. What it wants stands in
# workloads/wasi-http-c/build.sh.
set -eu
cd "$(dirname "$0")"
../../../../../workloads/wasi-http-c/build.sh "$PWD/probe.c" "$PWD/probe.wasm"
