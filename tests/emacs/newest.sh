#!/usr/bin/env bash
# Unpacks Debian's newest Emacs (30.1, from backports) into a directory, beside the one that is installed.
#
#   newest.sh DIRECTORY [nox|lucid|gtk]
#
# makes DIRECTORY/emacs, which starts it; without a second word the one for terminals. Needs apt and dpkg, but not to be root: nothing is installed. Libraries that are
# missing on this machine are unpacked beside it.
set -euo pipefail

fail() { echo "newest: $1" >&2; exit 1; }

directory=$(realpath -m "${1:?usage: newest.sh DIRECTORY [nox|lucid|gtk]}")
name=emacs-${2:-nox}
command -v apt-get >/dev/null 2>&1 && command -v dpkg >/dev/null 2>&1 || fail "this needs apt and dpkg; put an Emacs 30 on your path and say EMACS=…"
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
[ -n "$codename" ] || fail "/etc/os-release has no VERSION_CODENAME"
# The mirror that this machine uses already.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $codename" | sort -u | grep -m 1 /debian) ||
  fail "apt knows no mirror of Debian $codename"

apt=$directory/apt
mkdir -p "$apt"/{lists,cache,debs} "$directory/root"
printf 'deb %s %s main\n' "$mirror" "$codename" "$mirror" "$codename-backports" > "$apt/sources.list"
own=(-qq -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
     -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root)
apt-get "${own[@]}" update

# The release to take it from: what is newest.
version=$(apt-cache "${own[@]}" madison "$name" | awk '{print $3}' | sort -V | tail -n 1)
case $version in
  *:3[0-9].*) ;;
  *) fail "the newest Emacs of $mirror is ${version:-none}" ;;
esac

# What would be installed, as this machine is: the packages of Emacs, and libraries that are missing.
packages=$(apt-get "${own[@]}" install --simulate --no-install-recommends "$name=$version" "emacs-el=$version" \
    "emacs-common=$version" "emacs-bin-common=$version" | awk '$1 == "Inst" && $2 !~ /^emacsen-common/ {print $2}')
(cd "$apt/debs" && for package in $packages; do
  case $package in
    emacs*) echo "$package=$version" ;;
    *) echo "$package" ;;
  esac
done | xargs apt-get "${own[@]}" download)
for deb in "$apt"/debs/*.deb; do dpkg -x "$deb" "$directory/root"; done
rm -r "$apt"

root=$directory/root
share=$(echo "$root"/usr/share/emacs/3*)
libexec=$(echo "$root"/usr/libexec/emacs/3*/*-linux-gnu*)
load=$(find "$share/lisp" -type d ! -name obsolete | tr '\n' ':')
cat > "$directory/emacs.new" <<END
#!/bin/sh
export EMACSLOADPATH='$load' EMACSDATA='$share/etc' EMACSDOC='$share/etc' EMACSPATH='$libexec'
export LD_LIBRARY_PATH='$(dirname "$(find "$root/usr/lib" -name '*.so.*' -print -quit)")'
exec '$root/usr/bin/$name' --dump-file='$(echo "$libexec"/*.pdmp)' "\$@"
END
chmod +x "$directory/emacs.new"
"$directory/emacs.new" -Q --batch --eval '(unless (>= emacs-major-version 30) (kill-emacs 1))' 2>/dev/null ||
  fail "it does not start; try: $directory/emacs.new -Q"
mv "$directory/emacs.new" "$directory/emacs"
echo "$directory/emacs"
