#!/usr/bin/env bash
# bash packaging/binary.sh
#
# Builds the program that is given away, and prints its path: linked statically, with musl. The same sources, compiler and C
# compiler make the same bytes, wherever they lie: no path of this machine gets into it. Needs musl's C compiler, and of Rust the
# standard library for musl, which `rustup target add` gets.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
target=${CARGO_TARGET_DIR:-$root/target}
case $target in /*) ;; *) target=$root/$target ;; esac
cargo=${CARGO_HOME:-$HOME/.cargo}
machine=$(uname -m)
triple=$machine-unknown-linux-musl
fail() { echo "packaging/binary.sh: $*" >&2; exit 1; }

if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$triple" ]; then
  command -v rustup >/dev/null || fail "Rust has no standard library for $triple, and there is no rustup to get it"
  rustup target add "$triple" >&2 || fail "get Rust's standard library for $triple: rustup target add $triple"
fi
compiler=$(command -v "$machine-linux-musl-gcc" || command -v musl-gcc) || fail "musl's C compiler is missing: apt-get install musl-tools"

rust=() c=()
for pair in "$cargo=/cargo" "$root=/org-agent" "$target=/target"; do
  rust+=("--remap-path-prefix=$pair")
  c+=("-ffile-prefix-map=$pair")
done
# Where the program lies in memory is decided when it starts; short notes for that save a megabyte.
rust+=("-Clink-arg=-Wl,-z,pack-relative-relocs")
# Into a directory of its triple, so that other builds keep what they have.
separated=$(printf '%s\x1f' "${rust[@]}")
unset RUSTFLAGS
export CARGO_ENCODED_RUSTFLAGS=${separated%$'\x1f'}
export TARGET_CC=$compiler TARGET_CFLAGS="${c[*]}" TARGET_CXXFLAGS="${c[*]}"
export CARGO_INCREMENTAL=0 LC_ALL=C TZ=UTC
"${CARGO:-cargo}" build --profile dist --locked --bin org-agent --target "$triple" --target-dir "$target" >&2
echo "$target/$triple/dist/org-agent"
