#!/usr/bin/env bash
# The smallest complete recipe, to copy: one linear classifier on the built-in digits. `run.sh --help` lists options.
recipe=$(basename "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)")
stages=(data manifests check train evaluate report)
# shellcheck source=recipes/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

stage_data() {
  if [ "$corpus" = synthetic ]; then
    corpus=$out/corpus
    python "$repo/tools/make_synthetic.py" fsdd --out "$corpus" --num-per-digit "$($smoke && echo 12 || echo 50)"
  fi
  [ -d "$corpus" ] || die "--corpus expected: a folder that holds recordings/, or 'synthetic'; found '$corpus'"
  ln -sfn "$(cd "$corpus" && pwd)" "$out/corpus.link"
}

stage_manifests() {
  python "$repo/tools/prepare_fsdd.py" --corpus "$out/corpus.link" --out "$out/manifests"
}

stage_check() {
  python "$repo/tools/check_data.py" "$out/manifests/published" --sample-rate-hz 8000
}

stage_train() { train_all train; }

stage_evaluate() {
  python "$repo/tools/evaluate.py" --run "$out" --origin "$(origin)"
}

stage_report() {
  python "$repo/tools/report.py" "$out" --no-umap
}

run_recipe "$@"
