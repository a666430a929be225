#!/bin/sh
# Rebuilds hello-component-c.wasm; ../wasi-http-c/build.sh tells what it wants.
set -eu
cd "$(dirname "$0")"
../wasi-http-c/build.sh hello-component-c.c hello-component-c.wasm
