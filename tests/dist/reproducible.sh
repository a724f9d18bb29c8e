#!/usr/bin/env bash
# bash tests/dist/reproducible.sh
#
# Makes everything that is given away twice, in two directories of different names, with different places for cargo's own files, other
# umasks and other time zones, and compares the checksums. Two release builds from nothing: this takes long.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo_home=${CARGO_HOME:-$HOME/.cargo}
if [ -z "${ORG_AGENT_COMMIT:-}" ]; then ORG_AGENT_COMMIT=$(git rev-parse HEAD); fi
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then SOURCE_DATE_EPOCH=$(git log -1 --format=%ct); fi
export ORG_AGENT_COMMIT SOURCE_DATE_EPOCH
unset CARGO_TARGET_DIR

for side in first the-second-one; do
  mkdir -p "$work/$side/sources" "$work/$side/cargo"
  git ls-files -z --cached --others --exclude-standard | tar -c --null --files-from=- | tar -x -C "$work/$side/sources"
  # The same downloads under another name.
  for part in registry bin config.toml; do
    [ ! -e "$cargo_home/$part" ] || ln -s "$cargo_home/$part" "$work/$side/cargo/$part"
  done
done
(umask 022; cd "$work/first/sources" && CARGO_HOME=$work/first/cargo TZ=UTC make dist)
(umask 027; cd "$work/the-second-one/sources" && CARGO_HOME=$work/the-second-one/cargo TZ=Asia/Tokyo make dist)

first=$work/first/sources/target/dist second=$work/the-second-one/sources/target/dist
if ! diff "$first/SHA256SUMS" "$second/SHA256SUMS"; then
  echo "tests/dist/reproducible.sh: the two builds differ in the files above" >&2
  exit 1
fi
echo "two builds, the same bytes:"
cat "$first/SHA256SUMS"
CARGO_HOME=$work/first/cargo python3 -B tests/dist/check.py "$first"
