#!/usr/bin/env bash
# Make tests/gpu/wheels, what run.sh installs on a GPU machine without a network; README.md says what is in it.
set -euo pipefail

usage() {
  cat <<'TXT'
usage: tests/gpu/wheels.sh [--python PYTHON]

  --python PYTHON   interpreter that runs pip, with setuptools and wheel   (default: .venv/bin/python, else python3)

Downloads the packages of wheels.txt for Python 3.12 on x86-64 Linux, at the versions of requirements.txt; pure Python
without a wheel is built. Takes a minute. fairseq-fixed has a wheel for 3.12; should it go, build one with Python 3.12:
  python3.12 -m pip wheel --no-deps --no-build-isolation fairseq-fixed    (after torch, numpy, cython, setuptools, wheel)
TXT
}

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python=python3
[ ! -x .venv/bin/python ] || python=.venv/bin/python
while [ $# -gt 0 ]; do
  case $1 in
    --python) python=$2 && shift 2 ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
  esac
done
here=tests/gpu
most_mb=60

die() {
  printf 'tests/gpu/wheels.sh: %s\n' "$*" >&2
  exit 1
}

pip() { "$python" -m pip --disable-pip-version-check "$@"; }

# Print NAME==VERSION of requirements.txt for the name $1.
pinned() {
  grep -E "^$1==" requirements.txt | sed 's/ *;.*//' || die "$1: not in requirements.txt"
}

# Put the wheel of NAME==VERSION into the folder $2.
fetch() {
  local platforms=() minor
  for minor in 28 27 24 17 12 5; do platforms+=(--platform "manylinux_2_${minor}_x86_64"); done
  platforms+=(--platform manylinux2014_x86_64 --platform manylinux1_x86_64)
  pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 --implementation cp "${platforms[@]}" \
    --dest "$2" "$1" 2>/dev/null && return
  pip wheel --quiet --no-deps --wheel-dir "$2" "$1" || die "$1: no wheel for Python 3.12, and it cannot be built"
  compgen -G "$2/*-none-any.whl" >/dev/null || die "$1: the wheel built is not for every machine: $(ls "$2")"
}

# Leave the files that match the patterns $3... out of the only wheel in the folder $1, and write it to the folder $2.
without() {
  local from=$1 to=$2 pattern keep=() found
  shift 2
  (cd "$from" && "$python" -m wheel unpack --dest unpacked ./*.whl >/dev/null)
  for pattern in "$@"; do [[ $pattern != !* ]] || keep+=(! -name "${pattern#!}"); done
  for pattern in "$@"; do
    [[ $pattern != !* ]] || continue
    found=$(find "$from"/unpacked/* -path "*/$pattern" -type f "${keep[@]}" -print -delete | wc -l)
    [ "$found" -gt 0 ] || die "$pattern: no such file in the wheel; correct wheels.txt"
    echo "  $found files left out: $pattern"
  done
  # The build number shows in the name that this is not the wheel as published.
  "$python" -m wheel pack --build-number 0reduced --dest-dir "$to" "$from"/unpacked/* >/dev/null
}

case $python in */*) python=$(realpath -s "$python") ;; esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/wheels"
while read -r name patterns; do
  [[ -n $name && $name != '#'* ]] || continue
  requirement=$(pinned "$name")
  echo "$requirement"
  mkdir "$work/$name"
  fetch "$requirement" "$work/$name"
  if [ -n "$patterns" ]; then
    read -ra patterns <<<"$patterns"
    without "$work/$name" "$work/wheels" "${patterns[@]}"
  else
    mv "$work/$name"/*.whl "$work/wheels"
  fi
done <"$here/wheels.txt"
size=$(du -sm "$work/wheels" | cut -f 1)
[ "$size" -lt $most_mb ] || die "the wheels have $size MB, more than $most_mb; leave more out in wheels.txt"
rm -rf "$here/wheels"
mv "$work/wheels" "$here/wheels"
echo "$here/wheels: $(find "$here/wheels" -name '*.whl' | wc -l) wheels, $size MB"
