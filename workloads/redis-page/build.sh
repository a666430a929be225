#!/bin/sh
# Builds redis.tar and redis-page.tar into a directory: build.sh [DIRECTORY]. They are OCI images of
# packages of Debian; ../debian-image tells what that wants. The component lies here; it is made by
# ../wasi-http-c/build.sh redis-visits.c redis-visits.wasm
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "${1:-$here}" && cd "${1:-$here}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$here/../debian-image/unpack.sh" "$work/debian" redis-server redis-tools busybox-static
# A shell and its tools, for the page and for `kubectl exec`.
for tool in $("$work/debian/bin/busybox" --list); do
  [ -e "$work/debian/bin/$tool" ] || ln -s busybox "$work/debian/bin/$tool"
done
mkdir "$work/debian/data" "$work/debian/tmp"
chmod 1777 "$work/debian/data" "$work/debian/tmp"
cp -R "$here/page" "$work/page"

path=PATH=/usr/bin:/bin
"$here/../debian-image/pack.sh" "$out/redis.tar" "$work/debian" -- \
  --config.env "$path" --config.workingdir /data --config.exposedports 6379/tcp \
  --config.entrypoint redis-server
# The same layer first: a registry and a machine keep it once.
"$here/../debian-image/pack.sh" "$out/redis-page.tar" "$work/debian" "$work/page" -- \
  --config.env "$path" --config.exposedports 8080/tcp --config.entrypoint busybox \
  --config.cmd httpd --config.cmd -f --config.cmd -p --config.cmd 8080 \
  --config.cmd -h --config.cmd /srv
