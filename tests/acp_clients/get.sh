#!/usr/bin/env bash
# Puts clients of the Agent Client Protocol into a directory: nothing is installed, and root is not needed.
#
#   get.sh DIRECTORY
#
# makes
#   DIRECTORY/acpx      which starts acpx
#   DIRECTORY/node      the Node that acpx needs, from a package, too
#   DIRECTORY/npm       acpx and the client library for JavaScript, as npm/package-lock.json names them
#   DIRECTORY/python    a Python with the client library, as requirements.txt names it
set -euo pipefail

fail() { echo "get: $1" >&2; exit 1; }

directory=$(realpath -m "${1:?usage: get.sh DIRECTORY}")
here=$(dirname "$(realpath "$0")")
rm -rf "$directory"
mkdir -p "$directory/npm"

cp "$here"/npm/{package.json,package-lock.json,.npmrc} "$directory/npm/"
# As the lock says; `npm ci` insists on packages for other systems, which not every registry has. npm's word about the
# version of Node is about the installed one, which starts nothing here.
(cd "$directory/npm" && npm install --no-save --loglevel=error)
cmp -s "$here/npm/package-lock.json" "$directory/npm/package-lock.json" || fail "npm did not keep to npm/package-lock.json"
node=$(find "$directory/npm/node_modules" -path '*/node-linux-*/bin/node' -print -quit)
[ -n "$node" ] || fail "npm brought no Node for $(uname -m)"
ln -s "$node" "$directory/node"
"$directory/node" --version | grep -qx v22.23.3 || fail "it is not the Node that it should be, or does not start: $node"
printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$directory/node" "$directory/npm/node_modules/acpx/dist/cli.js" > "$directory/acpx"
chmod +x "$directory/acpx"
"$directory/acpx" --version | grep -qx 0.19.1 || fail "it is not acpx 0.19.1, or does not start"

python3 -m venv "$directory/venv"
"$directory/venv/bin/python" -m pip install -q --disable-pip-version-check --only-binary :all: --require-hashes -r "$here/requirements.txt"
printf '#!/bin/sh\nexec "%s" "$@"\n' "$directory/venv/bin/python" > "$directory/python.new"
chmod +x "$directory/python.new"
"$directory/python.new" -c 'import acp' || fail "the client library for Python can not be loaded"
# Last of all: make looks at this one.
mv "$directory/python.new" "$directory/python"
echo "$directory"
