#!/usr/bin/env bash
# Measure on a GPU, in 9 minutes: installs the wheels beside this file, if there are any, and runs run.py.
# `tests/gpu/run.sh --help` lists options; README.md says how the wheels are made.
set -euo pipefail

began=$(date +%s)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$here/../.." && pwd)
python=${PYTHON:-python3}
[ -z "${PYTHON:-}" ] && [ -x "$repo/.venv/bin/python" ] && python=$repo/.venv/bin/python

# Wheels go first: the interpreter's own packages are taken where no wheel was brought.
path=$repo:$repo/tests/bench:$repo/tools
if compgen -G "$here/wheels/*.whl" >/dev/null && [ "$python" != "$repo/.venv/bin/python" ]; then
  site=$(mktemp -d)
  trap 'rm -rf "$site"' EXIT
  echo "$(date +%T) installing $(find "$here/wheels" -name '*.whl' | wc -l) wheels"
  "$python" -m pip install --quiet --no-index --no-deps --no-compile --no-cache-dir --disable-pip-version-check \
    --target "$site" "$here"/wheels/*.whl
  path=$site:$path
fi
export PYTHONPATH=$path${PYTHONPATH:+:$PYTHONPATH}
# One thread: trainings and the making of the corpus run side by side. NVML: asking CUDA for devices would start it before
# a fork, and then it cannot start in the fork.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} MKL_NUM_THREADS=${MKL_NUM_THREADS:-1}
export PYTORCH_NVML_BASED_CUDA_CHECK=1 HYDRA_FULL_ERROR=1 PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1
export TQDM_MININTERVAL=${TQDM_MININTERVAL:-10}
"$python" "$here/run.py" --began "$began" "$@"
