#!/usr/bin/env bash
# Build the environment: a virtual environment with the pinned packages and this checkout installed in it.
set -euo pipefail

usage() {
  cat <<'TXT'
usage: tools/make_env.sh [--python PYTHON] [--venv DIR]

  --python PYTHON   interpreter to build on, 3.11 or 3.12        (default: python3)
  --venv DIR        where the environment goes                   (default: .venv)

Takes 2 to 8 minutes and 6 GB the first time (CUDA build of torch, fairseq compiled from source) and seconds
afterwards. Can be interrupted and rerun. Nothing is downloaded before the checks have passed.
TXT
}

python=python3
venv=.venv
while [ $# -gt 0 ]; do
  case $1 in
    --python) python=$2 && shift 2 ;;
    --venv) venv=$2 && shift 2 ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
  esac
done
cd "$(dirname "${BASH_SOURCE[0]}")/.."

die() {
  printf 'tools/make_env.sh: %s\n' "$*" >&2
  exit 1
}

check_machine() {
  command -v "$python" >/dev/null || die "no '$python' found; install Python 3.11 or 3.12, or pass --python (make: PYTHON=...)"
  local version
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  case $version in
    3.11 | 3.12) ;;
    *) die "'$python' is Python $version, expected 3.11 or 3.12; pass another one: make PYTHON=python3.11 ..." ;;
  esac
  "$python" -c 'import venv, ensurepip' 2>/dev/null ||
    die "'$python' has no venv module; install it (Debian and Ubuntu: apt install python$version-venv)"
  local header
  header=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h
  [ -f "$header" ] || die "no $header; fairseq is compiled: install Python's headers (Debian and Ubuntu: apt install python$version-dev)"
  printf 'int main() { return 0; }\n' | ${CXX:-c++} -x c++ -o /dev/null - 2>/dev/null ||
    die "no working C++ compiler ('${CXX:-c++}'); install one (Debian and Ubuntu: apt install g++) or set CXX"
}

pinned() { grep -E "^($1)==" requirements.txt; }

build() {
  [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$(pinned uv)"
  export VIRTUAL_ENV=$PWD/$venv
  case $venv in /*) VIRTUAL_ENV=$venv ;; esac
  local install=("$venv/bin/uv" pip install --link-mode "${UV_LINK_MODE:-hardlink}")
  echo '[1/3] torch and the build tools'
  pinned 'cython|numpy|setuptools|torch|wheel' >"$venv/build-pins.txt"
  "${install[@]}" -r "$venv/build-pins.txt"
  # Built against the torch above: an isolated build would download a second one.
  echo '[2/3] every pinned package; fairseq is compiled the first time (2 to 5 minutes)'
  "${install[@]}" -r requirements.txt --no-build-isolation-package fairseq-fixed
  echo '[3/3] this checkout (pip install -e .)'
  "${install[@]}" --no-deps --no-build-isolation -e .
  # Where PYTHONDONTWRITEBYTECODE is set, as in many container images, each process that imports fairseq would compile
  # 2,600 files again: 6 s of a core. Some packages hold templates that are no Python: hence no check of the status.
  "$venv/bin/python" -m compileall -qq -j 0 "$venv/lib" || true
  "$venv/bin/python" -c 'import fairseq_ext, torch, torchaudio, soundfile, av, cv2, mediapipe'
}

check_machine
build
touch "$venv/.ready"
echo "environment ready: $venv"
