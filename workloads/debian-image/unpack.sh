#!/bin/sh
# Unpacks Debian packages, and the libraries they need, into a directory: unpack.sh DIRECTORY PACKAGE…
# Wants apt with its lists (`apt-get update`), and neither root nor a daemon: nothing is installed and
# no script of a package runs. What was downloaded is kept in DEBIAN_CACHE for the next time.
set -eu
root=$1
shift
cache=${DEBIAN_CACHE:-$(cd "$(dirname "$0")/../.." && pwd)/node_modules/.cache/kubun/debian}
mkdir -p "$root" "$cache"
part=$(mktemp -d "$cache/part.XXXXXX")
trap 'rm -rf "$part"' EXIT

# With an empty list of installed packages apt names everything that belongs to them.
plan=$(apt-get -s -q -o Dir::State::status=/dev/null -o Debug::NoLocking=1 --no-install-recommends \
  install "$@") || {
  echo "apt has not all of these packages: $*; its lists come with apt-get update" >&2
  exit 1
}
wanted=
missing=
for package in $(echo "$plan" | sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1=\2/p'); do
  name=${package%%=*}
  case " $* " in
    *" $name "*) ;;
    *) case $name in
      # What only the scripts of packages want.
      lib*-perl | libperl* | libpam* | libaudit* | libsemanage* | libsepol* | libdb5* | libgdbm*) continue ;;
      lib* | zlib1g) ;;
      *) continue ;;
    esac ;;
  esac
  file=$(echo "$package" | sed 's/=/_/; s/:/%3a/g')
  wanted="$wanted $file"
  [ -n "$(find "$cache" -maxdepth 1 -name "${file}_*.deb")" ] || missing="$missing $package"
done
if [ -n "$missing" ]; then
  # To a place of its own first: who builds beside us finds whole files only.
  # shellcheck disable=SC2086 # one word for each package
  (cd "$part" && apt-get download -q -o APT::Sandbox::User=root $missing >/dev/null)
  mv "$part"/*.deb "$cache/"
fi
for file in $wanted; do dpkg-deb -x "$cache/${file}_"*.deb "$root"; done

# What no program reads.
cd "$root"
rm -rf usr/share/doc usr/share/man usr/share/info usr/share/locale usr/share/lintian \
  usr/lib/systemd lib/systemd
