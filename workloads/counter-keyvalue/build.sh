#!/bin/sh
# Rebuilds counter-keyvalue.wasm; ../wasi-http-c/build.sh tells what it wants.
set -eu
cd "$(dirname "$0")"
../wasi-http-c/build.sh counter-keyvalue.c counter-keyvalue.wasm
