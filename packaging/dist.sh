#!/usr/bin/env bash
# bash packaging/dist.sh
#
# Writes what is given away to target/dist: the program, a Debian package, the Emacs package, a bill of materials, the licences of what
# is built in, and the checksums of it all. The same sources and the same tools make the same bytes. `make dist` calls this after
# `make package`.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 022
export LC_ALL=C TZ=UTC
target=${CARGO_TARGET_DIR:-$PWD/target}
out=$target/dist
fail() { echo "packaging/dist.sh: $*" >&2; exit 1; }

# The only time in it all: of the commit, if nobody says another one.
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
  SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null) || SOURCE_DATE_EPOCH=315532800
fi
export SOURCE_DATE_EPOCH

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
[ -n "$version" ] || fail "Cargo.toml has no version"
machine=$(uname -m)
emacs_package=$target/package/org-agent-$version.tar
[ -f "$emacs_package" ] || fail "there is no $emacs_package; run make package"

program=$(bash packaging/binary.sh)
rm -rf "$out"
mkdir -p "$out"
install -m 755 "$program" "$out/org-agent-$version-$machine-linux"
cp "$emacs_package" "$out/"
python3 -B packaging/third_party.py sbom > "$out/org-agent-$version.cdx.json"
python3 -B packaging/third_party.py notices > "$out/org-agent-$version-licences.txt"
bash packaging/debian.sh "$version" "$program" "$emacs_package" "$out/org-agent-$version-licences.txt" "$out"
(cd "$out" && sha256sum -- * > ../SHA256SUMS && mv ../SHA256SUMS .)
(cd "$out" && sha256sum --quiet -c SHA256SUMS)
ls -l "$out"
