#!/bin/sh
# Rebuilds counter-rust.wasm. Wants Debian's rustc, libstd-rust-dev-wasm32 and lld-14; with another
# Rust that has the target (rustup target add wasm32-wasip1), for example
# RUSTC=rustc TARGET=wasm32-wasip1 LINKER=rust-lld ./build.sh
set -eu
cd "$(dirname "$0")"
"${RUSTC:-/usr/bin/rustc}" --edition 2021 --target "${TARGET:-wasm32-wasi}" -C opt-level=z -C lto -C panic=abort \
  -C strip=symbols -C linker="${LINKER:-wasm-ld-14}" --remap-path-prefix "$PWD=." \
  -o counter-rust.wasm counter-rust.rs
ls -l counter-rust.wasm
