#!/usr/bin/env bash
# Spoken digits: from recordings to a scored, plotted report. `run.sh --help` lists options and stages.
recipe=spoken_digits
stages=(data manifests check train pretrain finetune evaluate report)
rows=(linear rnn lstm temporal_cnn spectral_cnn) # conf/ROW.yaml each
best=spectral_cnn                                # chosen inside the training speakers, see README.md
backbone=temporal_cnn                            # what SimCLR pre-trains; conf/{simclr,finetune}.yaml
parts=supervised,one_speaker,loso,leaky,simclr,labels
all_parts=$parts,selection
# shellcheck source=recipes/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
help_of[corpus]='DIR|synthetic|download   the corpus in its published layout, the built-in one, or fetched from its home'

recipe_help() {
  cat <<TXT
  --parts A,B,...     what to train                               (default: $parts)
                        supervised    every model on the published split
                        one_speaker   the best model and the temporal CNN trained on one speaker
                        loso          the best model, leave one speaker out, all six
                        leaky         control: random folds with shared speakers; two of the five with one seed
                        simclr        temporal CNN: self-supervised pre-training, linear probe, fine-tuning
                        labels        temporal CNN, supervised (and fine-tuned) at 1, 2, 5, 10 labels per digit and speaker
                        selection     every model, leave one training speaker out: what decided the settings
TXT
}

recipe_option() {
  case $1 in
    --parts)
      parts=$2
      local part
      for part in ${parts//,/ }; do
        [[ ,$all_parts, == *,$part,* ]] || die "--parts $part: one or more of $all_parts expected"
      done
      ;;
    *) return 1 ;;
  esac
}

wants() { [[ ,$parts, == *,$1,* ]]; }

# Protocols below manifests/ that match a pattern, e.g. `partitions 'loso/*'`; one of them in a smoke run.
partitions() {
  local folders
  mapfile -t folders < <(compgen -G "$out/manifests/$1" | sort)
  $smoke && folders=("${folders[0]}")
  printf '%s\n' "${folders[@]#"$out/manifests/"}"
}

stage_data() {
  case $corpus in
    synthetic)
      corpus=$out/corpus
      python "$repo/tools/make_synthetic.py" fsdd --out "$corpus" --num-per-digit "$($smoke && echo 12 || echo 50)"
      ;;
    download)
      corpus=$out/corpus
      python "$repo/tools/download_fsdd.py" --out "$corpus"
      ;;
    '') die "--corpus expected: a folder that holds recordings/, 'synthetic' or 'download'; see --help" ;;
  esac
  [ -d "$corpus" ] || die "--corpus $corpus: a folder that holds recordings/ expected, found none"
  ln -sfn "$(cd "$corpus" && pwd)" "$out/corpus.link"
}

stage_manifests() {
  python "$repo/tools/prepare_fsdd.py" --corpus "$out/corpus.link" --out "$out/manifests"
}

stage_check() {
  local check=(python "$repo/tools/check_data.py" --sample-rate-hz 8000 --quiet)
  "${check[@]}" "$out"/manifests/{published,one_speaker,labels/*,loso/*,inner/*} >"$out/check.txt" ||
    { cat "$out/check.txt" && die "the manifests have errors; mend what the table names"; }
  "${check[@]}" --allow-shared-speakers "$out"/manifests/leaky/* >>"$out/check.txt" ||
    { cat "$out/check.txt" && die "the manifests of the control have errors; mend what the table names"; }
  log "manifests are sound; the tables: $out/check.txt"
}

list_trainings() {
  local seed row partition
  for ((seed = 1; seed <= seeds; seed++)); do
    if wants loso; then
      for partition in $(partitions 'loso/*'); do training "$best" "$best" "$partition" "$seed"; done
    fi
    if wants supervised; then
      for row in "${rows[@]}"; do training "$row" "$row" published "$seed"; done
    fi
    if wants one_speaker; then
      for row in "$backbone" "$best"; do training "$row" "$row" one_speaker "$seed"; done
    fi
    if wants selection; then
      for row in "${rows[@]}"; do
        for partition in $(partitions 'inner/*'); do training "$row" "$row" "$partition" "$seed"; done
      done
    fi
  done
  # One seed: the control and the label curve show an order of magnitude, not a ranking.
  if wants labels; then
    for partition in $(partitions 'labels/*'); do training "$backbone" "$backbone" "$partition" 1; done
  fi
  if wants leaky; then
    local folds=5
    [ "$seeds" -gt 1 ] || folds=2
    for partition in $(partitions 'leaky/*' | head -n "$folds"); do training "$best" "$best" "$partition" 1; done
  fi
}

stage_train() { list_trainings | train_all; }

stage_pretrain() {
  wants simclr || return 0
  local seed
  for ((seed = 1; seed <= seeds; seed++)); do training simclr simclr published "$seed"; done | train_all
}

pretrained() { echo "$out/train/published/simclr/seed$1/checkpoint_last.pt"; }

# What a pre-trained network is fine-tuned and probed on, seed $1.
labelled_partitions() {
  echo published one_speaker
  if [ "$1" = 1 ] && wants labels; then partitions 'labels/*'; fi
}

list_finetunings() {
  local seed partition
  for ((seed = 1; seed <= seeds; seed++)); do
    for partition in $(labelled_partitions "$seed"); do
      training simclr_finetune finetune "$partition" "$seed" "model.pretrained_path=$(pretrained "$seed")"
    done
  done
}

stage_finetune() {
  wants simclr || return 0
  list_finetunings | train_all
}

stage_evaluate() {
  local seed partition data
  python "$repo/tools/evaluate.py" --run "$out" --origin "$(origin)"
  wants simclr || return 0
  for ((seed = 1; seed <= seeds; seed++)); do
    data=()
    for partition in $(labelled_partitions "$seed"); do data+=("$partition=$out/manifests/$partition"); done
    python "$repo/tools/probe.py" --checkpoint "$(pretrained "$seed")" --label digit --scores "$out/scores" \
      --origin "$(origin)" --seed "$seed" --data "${data[@]}" --system simclr_probe --control untrained_probe \
      --centred-too
  done
}

stage_report() {
  local umap=()
  ! $smoke || umap=(--no-umap)
  python "$repo/tools/report.py" "$out" --about "$repo/recipes/$recipe/report.json" "${umap[@]}"
}

run_recipe "$@"
