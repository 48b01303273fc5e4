#!/usr/bin/env bash
# Spoken digits: from recordings to a scored, plotted report. `run.sh --help` lists options and stages.
recipe=spoken_digits
stages=(data manifests check train pretrain finetune evaluate report)
rows=(linear rnn lstm temporal_cnn BEST)
best=BEST
parts=supervised,one_speaker,loso,leaky,simclr,labels
labels_per_digit=(1 2 5 10)
# shellcheck source=recipes/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

recipe_help() {
  cat <<TXT
  --parts A,B,...     what to train                               (default: $parts)
                        supervised    every model on the published split
                        one_speaker   the best model trained on one speaker
                        loso          the best model, leave one speaker out, all six
                        leaky         control: random folds with shared speakers
                        simclr        self-supervised pre-training, linear probe, fine-tuning
                        labels        supervised and fine-tuned at 1, 2, 5, 10 labels per digit and speaker
TXT
}

recipe_option() {
  case $1 in
    --parts) parts=$2 ;;
    *) return 1 ;;
  esac
}

wants() { [[ ,$parts, == *,$1,* ]]; }

# A line for train_all: row, config, protocol, seed, overrides.
training() {
  local IFS=$'\t'
  printf '%s\n' "$*${overlay:+$IFS$overlay}"
}

stage_data() {
  case $corpus in
    '') die "--corpus expected: a folder that holds recordings/, 'synthetic' or 'download'; see --help" ;;
    synthetic)
      corpus=$out/corpus
      python "$repo/tools/make_synthetic.py" fsdd --out "$corpus" --num-per-digit "$($smoke && echo 4 || echo 50)"
      ;;
    download)
      corpus=$out/corpus
      python "$repo/tools/download_fsdd.py" --out "$corpus"
      ;;
    *) [ -d "$corpus" ] || die "--corpus $corpus: no such folder" ;;
  esac
  ln -sfn "$(cd "$corpus" && pwd)" "$out/corpus.link"
}

stage_manifests() {
  python "$repo/tools/prepare_fsdd.py" --corpus "$out/corpus.link" --out "$out/manifests"
}

stage_check() {
  local folder shared
  for folder in "$out"/manifests/{published,one_speaker,labels/*,loso/*,leaky/*}; do
    shared=()
    [[ $folder == */leaky/* ]] && shared=(--allow-shared-speakers)
    python "$repo/tools/check_data.py" "$folder" --sample-rate-hz 8000 "${shared[@]}"
  done
}

stage_train() {
  local seed row folder
  {
    for ((seed = 1; seed <= seeds; seed++)); do
      if wants supervised; then
        for row in "${rows[@]}"; do training "$row" "$row" published "$seed"; done
      fi
      if wants one_speaker; then training "$best" "$best" one_speaker "$seed"; fi
      if wants loso; then
        for folder in "$out"/manifests/loso/*; do
          training "$best" "$best" "loso/${folder##*/}" "$seed" dataset.disable_validation=true
        done
      fi
    done
    if wants leaky; then
      for folder in "$out"/manifests/leaky/*; do
        training "$best" "$best" "leaky/${folder##*/}" 1 dataset.disable_validation=true
      done
    fi
    if wants labels; then
      for count in "${labels_per_digit[@]}"; do
        training "$best" "$best" "labels/$count" 1 dataset.disable_validation=true
      done
    fi
  } | train_all
}
