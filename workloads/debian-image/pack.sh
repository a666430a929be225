#!/bin/sh
# Makes an OCI image of directories, each of them a layer: pack.sh IMAGE.tar DIRECTORY… -- CONFIG…
# CONFIG are flags of `umoci config`: --config.cmd, --config.env, --config.exposedports and so on.
# Wants umoci (Debian has it), and neither root nor a daemon.
set -eu
image=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rootless=
[ "$(id -u)" -eq 0 ] || rootless=--rootless

umoci init --layout "$work/layout"
umoci new --image "$work/layout:v1"
while [ "$#" -gt 0 ] && [ "$1" != -- ]; do
  umoci insert $rootless --image "$work/layout:v1" "$1" /
  shift
done
[ "$#" -eq 0 ] || shift
umoci config --image "$work/layout:v1" "$@"
umoci gc --layout "$work/layout"
tar -C "$work/layout" -cf "$image.part" oci-layout index.json blobs
mv "$image.part" "$image"
