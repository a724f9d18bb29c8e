#!/usr/bin/env bash
# bash packaging/debian.sh VERSION PROGRAM EMACS-PACKAGE LICENCES OUT
#
# Writes OUT/org-agent_VERSION_ARCHITECTURE.deb: the program, its manual pages and completions, and the Emacs package, which Debian's
# own helper compiles for each Emacs that is installed. Nothing is asked, started or enabled, and no user's file is touched.
set -euo pipefail
version=$1 program=$2 emacs_package=$3 licences=$4 out=$5
cd "$(dirname "$0")/.."
umask 022
export LC_ALL=C
: "${SOURCE_DATE_EPOCH:?}"
architecture=$(dpkg --print-architecture)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
name=org-agent
doc=$root/usr/share/doc/$name
source=usr/share/emacs/site-lisp/elpa-src
hooks=$root/usr/lib/emacsen-common/packages

install -D -m 755 "$program" "$root/usr/bin/$name"
"$program" man --dir "$root/usr/share/man/man1"
mkdir -p "$root"/usr/share/{bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d}
"$program" completions bash > "$root/usr/share/bash-completion/completions/$name"
"$program" completions zsh > "$root/usr/share/zsh/vendor-completions/_$name"
"$program" completions fish > "$root/usr/share/fish/vendor_completions.d/$name.fish"

# The Emacs package as `package-install-file` would unpack it. Its entry points are written down here: the helper only compiles.
mkdir -p "$root/$source"
tar -xf "$emacs_package" -C "$root/$source" --no-same-owner --no-same-permissions
elisp=$root/$source/$name-$version
[ -d "$elisp" ] || { echo "packaging/debian.sh: $emacs_package has no $name-$version" >&2; exit 1; }
"${EMACS:-emacs}" -Q --batch -l package --eval "(setq make-backup-files nil)" \
  --eval "(package-generate-autoloads \"$name\" \"$elisp\")" >/dev/null 2>&1
[ -s "$elisp/$name-autoloads.el" ] || { echo "packaging/debian.sh: no autoloads were written" >&2; exit 1; }
if [ -f "$elisp/$name.info" ]; then
  mkdir -p "$root/usr/share/info"
  # Its pictures lie beside it, and are called after it, as all manuals share that directory.
  sed "s|\[image src=\"pictures/|[image src=\"$name-|" "$elisp/$name.info" > "$root/usr/share/info/$name.info"
  grep -ao "image src=\"$name-[^\"]*" "$root/usr/share/info/$name.info" | sed "s/.*\"$name-//" | while read -r picture; do
    cp "docs/pictures/$picture" "$root/usr/share/info/$name-$picture"
  done
  rm -f "$elisp/$name.info" "$elisp/dir"
fi
mkdir -p "$hooks"/{compat,install,remove}
echo 0 > "$hooks/compat/$name"
for step in install remove; do
  {
    echo '#!/bin/sh'
    echo 'set -e'
    if [ "$step" = install ]; then
      # The program is for other editors, too: an Emacs that cannot have the Emacs package is no reason not to install it.
      needs=$(sed -n 's/^;; Package-Requires:.*(emacs "\([0-9.]*\)").*/\1/p' "$elisp/$name.el")
      echo "if ! \"\$1\" -Q --batch --eval '(kill-emacs (if (version< emacs-version \"${needs:?}\") 1 0))'; then"
      echo "  echo \"$name: its Emacs package needs Emacs $needs, and is not installed for \$1\" >&2"
      echo '  exit 0'
      echo 'fi'
    fi
    echo "exec /usr/lib/dh-elpa/helper/$step \"\$1\" $name $version"
  } > "$hooks/$step/$name"
  chmod 755 "$hooks/$step/$name"
done

mkdir -p "$doc"
{ cat packaging/copyright; tail -n +3 LICENSE-MIT | sed 's/^$/./; s/^/ /'; } > "$doc/copyright"
cp CHANGELOG.md "$doc/changelog"
cp "$licences" "$doc/licences.txt"
find "$root/usr/share/man" "$root/usr/share/info" "$doc" -type f ! -name copyright ! -name '*.png' -exec gzip -9 -n {} +

# What the program is linked with. A static one needs nothing.
depends=(emacsen-common dh-elpa-helper)
headers=$(objdump -p "$program")
while read -r library; do
  case $library in
    libc.so.* | libm.so.* | ld-linux*)
      glibc=$(objdump -T "$program" | grep -o 'GLIBC_[0-9.]*' | sort -V | tail -n 1)
      depends+=("libc6 (>= ${glibc#GLIBC_})") ;;
    libgcc_s.so.1) depends+=(libgcc-s1) ;;
    *) echo "packaging/debian.sh: no package is known for $library, which $program needs" >&2; exit 1 ;;
  esac
done < <(awk '$1 == "NEEDED" { print $2 }' <<< "$headers")
mkdir -p "$root/usr/share/lintian/overrides"
{
  echo '# It is not made by the Debian project: its authors have no common address.'
  echo "$name: malformed-contact *"
  echo "# Its changelog is the project's, which says more."
  echo "$name: syntax-error-in-debian-changelog *"
  if ! grep -q NEEDED <<< "$headers"; then
    echo '# That is a program that is linked statically: one for every distribution.'
    echo "$name: shared-library-lacks-prerequisites *"
  fi
} > "$root/usr/share/lintian/overrides/$name"

mkdir -p "$root/DEBIAN"
cat > "$root/DEBIAN/control" <<CONTROL
Package: $name
Version: $version
Architecture: $architecture
Maintainer: The org-agent authors
Installed-Size: $(find "$root/usr" -type f -printf '%s\n' | awk '{ kilobytes += int(($1 + 1023) / 1024) } END { print kilobytes }')
Depends: $(printf '%s\n' "${depends[@]}" | sort -u | paste -sd, | sed 's/,/, /g')
Recommends: bubblewrap, ca-certificates
Suggests: emacs (>= 1:28.1)
Enhances: emacs
Section: editors
Priority: optional
Description: agent kernel for editors
 A language server that lets a language model work in Emacs and in other
 editors: the model proposes, the verifier disposes. Nothing that a model
 wrote reaches a buffer or a shell before it was parsed, checked and permitted.
 .
 With the Emacs package. Commands are confined with bubblewrap if it is
 installed, else by Landlock where the kernel has it.
CONTROL
for step in postinst:install prerm:remove; do
  script=${step%:*} helper=/usr/lib/emacsen-common/emacs-package-${step#*:}
  {
    echo '#!/bin/sh'
    echo 'set -e'
    [ "$script" = prerm ] || echo 'case "$1" in configure|abort-upgrade|abort-deconfigure|abort-remove) ;; *) exit 0 ;; esac'
    echo "if [ -e /var/lib/emacsen-common/state/package/installed/emacsen-common ] && [ -x $helper ]; then"
    echo "  $helper --$script $name"
    echo 'fi'
  } > "$root/DEBIAN/$script"
  chmod 755 "$root/DEBIAN/$script"
done
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum > DEBIAN/md5sums)
find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
# What several threads compress is other bytes than what one does.
dpkg-deb --root-owner-group -Zxz --threads-max=1 --build "$root" "$out/${name}_${version}_$architecture.deb" >/dev/null
