#!/usr/bin/env bash
# bash packaging/binary.sh
#
# Builds the program that is given away, and prints its path. The same sources, compiler and C compiler make the same bytes,
# wherever they lie: no path of this machine gets into it. Linked dynamically, to nothing but glibc and libgcc_s; docs/packages.md says
# why.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
target=${CARGO_TARGET_DIR:-$root/target}
case $target in /*) ;; *) target=$root/$target ;; esac
cargo=${CARGO_HOME:-$HOME/.cargo}
triple=$(rustc -vV | sed -n 's/^host: //p')

rust=() c=()
for pair in "$cargo=/cargo" "$root=/org-agent" "$target=/target"; do
  rust+=("--remap-path-prefix=$pair")
  c+=("-ffile-prefix-map=$pair")
done
# Into a directory of its triple, so that other builds keep what they have.
separated=$(printf '%s\x1f' "${rust[@]}")
unset RUSTFLAGS
export CARGO_ENCODED_RUSTFLAGS=${separated%$'\x1f'}
export CFLAGS="${c[*]}" CXXFLAGS="${c[*]}"
export CARGO_INCREMENTAL=0 LC_ALL=C TZ=UTC
"${CARGO:-cargo}" build --release --locked --bin org-agent --target "$triple" --target-dir "$target" >&2
echo "$target/$triple/release/org-agent"
