#!/usr/bin/env bash
# Builds llama.cpp's server in DIR: tests/llama/server.sh DIR makes DIR/llama-server.
#
# The sources are those that the Python package llama-cpp-python carries; nothing of it is installed or run. pip has no
# command that only fetches: before it hands over a source package it asks the package's build backend for
# metadata, for which it gets that backend. It checks the hash before that.
set -euo pipefail

version=0.3.36
sha256=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e

dir=${1:?usage: tests/llama/server.sh DIR}
mkdir -p "$dir"
cd "$dir"
archive=llama_cpp_python-$version.tar.gz

say() { echo "llama: $*" >&2; }

if ! echo "$sha256  $archive" | sha256sum --check --status 2>/dev/null; then
  say "downloading llama-cpp-python $version (73 MiB)"
  echo "llama-cpp-python==$version --hash=sha256:$sha256" >requirements.txt
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --no-binary llama-cpp-python \
    --requirement requirements.txt --dest . || {
    say "it could not be downloaded. Is there a network? Or put $archive into $PWD by hand"
    exit 1
  }
  echo "$sha256  $archive" | sha256sum --check --quiet
fi

if [ ! -f source/.complete ]; then
  say "unpacking llama.cpp"
  rm -rf source build
  mkdir source
  tar -xzf "$archive" -C source --strip-components=3 "${archive%.tar.gz}/vendor/llama.cpp"
  touch source/.complete
fi

say "configuring"
# Without what this test does not use; and without what only this machine's processor can do, so that a build
# in a cache that machines share runs on all of them.
cmake -S source -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DGGML_NATIVE=OFF \
  -DLLAMA_CURL=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF \
  -DLLAMA_BUILD_UI=OFF -DLLAMA_BUILD_WEBUI=OFF >configure.log 2>&1 || {
  tail -n 30 configure.log >&2
  say "cmake failed; all it said is in $PWD/configure.log"
  exit 1
}

started=$SECONDS
say "building llama-server; on two cores this takes about nine minutes, and it goes on where it was stopped"
ninja -C build llama-server >build.log 2>&1 &
ninja=$!
trap 'kill "$ninja" 2>/dev/null || true' EXIT
while kill -0 "$ninja" 2>/dev/null; do
  sleep 5
  step=$(grep -o '^\[[0-9]*/[0-9]*\]' build.log | tail -n 1 || true)
  if [ "$step" != "${shown:-}" ] && [ $((SECONDS - ${told:-0})) -ge 30 ]; then
    say "$step after $((SECONDS - started)) s"
    shown=$step told=$SECONDS
  fi
done
wait "$ninja" || {
  grep -A 20 FAILED build.log | head -n 30 >&2
  say "the build failed; all it said is in $PWD/build.log"
  exit 1
}
trap - EXIT
cp build/bin/llama-server llama-server.new
mv llama-server.new llama-server
say "built in $((SECONDS - started)) s: $PWD/llama-server"
