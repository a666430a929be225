#!/bin/sh
# Rebuilds both components of the guestbook; ../wasi-http-c/build.sh tells what it wants.
set -eu
cd "$(dirname "$0")"
../wasi-http-c/build.sh store/store.c store/guestbook-store.wasm
../wasi-http-c/build.sh front/front.c front/guestbook-front.wasm
