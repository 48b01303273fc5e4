#!/usr/bin/env bash
# Spoken digits: from recordings to a scored, plotted report. `run.sh --help` lists options and stages.
recipe=spoken_digits
stages=(data manifests check train pretrain finetune evaluate report)
# shellcheck source=recipes/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
help_of[corpus]='DIR|synthetic|download   the corpus in its published layout, the built-in one, or fetched from its home'

whisper=''

recipe_help() {
  cat <<TXT
  --whisper FOLDER      probe the frozen encoder of this Whisper too: a folder as Hugging Face lays it out
  --experiments A,B,...  what to train                            (default: all but selection)
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
    --experiments | --whisper) choices+=("$1" "$2") ;;
    *) return 1 ;;
  esac
  [ "$1" != --whisper ] || whisper=$2
}

stage_data() {
  local sizes
  case $corpus in
    synthetic)
      corpus=$out/corpus
      read_plan sizes tool make_synthetic
      python "$repo/tools/make_synthetic.py" fsdd --out "$corpus" "${sizes[@]}"
      ;;
    download)
      corpus=$out/corpus
      python "$repo/tools/download_fsdd.py" --out "$corpus"
      ;;
    '') die "--corpus is missing: give a folder that holds recordings/, 'synthetic' or 'download'; see --help" ;;
  esac
  [ -d "$corpus" ] || die "--corpus $corpus: no such folder; give one that holds recordings/"
  ln -sfn "$(cd "$corpus" && pwd)" "$out/corpus.link"
}

stage_manifests() {
  python "$repo/tools/prepare_fsdd.py" --corpus "$out/corpus.link" --out "$out/manifests"
}

stage_check() { check_manifests 8000; }

stage_train() { train_all train; }

stage_pretrain() { train_all pretrain; }

stage_finetune() { train_all finetune; }

stage_evaluate() {
  local seed partitions
  python "$repo/tools/evaluate.py" --run "$out" --origin "$(origin)"
  # Probes of each pre-trained network, on the partitions that it is fine-tuned on.
  for ((seed = 1; seed <= seeds; seed++)); do
    read_plan partitions partitions finetune --seed "$seed"
    [ ${#partitions[@]} = 0 ] || probe "$seed" "${partitions[@]}"
  done
  [ -z "$whisper" ] || probe_whisper
}

# Fit linear probes on the SimCLR network of seed $1, and on an untrained one, for the partitions given.
probe() {
  local partition data=()
  for partition in "${@:2}"; do data+=("$partition=$out/manifests/$partition"); done
  python "$repo/tools/probe.py" --checkpoint "$out/train/published/simclr/seed$1/checkpoint_last.pt" --label digit \
    --scores "$out/scores" --origin "$(origin)" --seed "$1" --data "${data[@]}" --system simclr_probe \
    --control untrained_probe --centred-too
}

# Fit linear probes on the frozen encoder of a Whisper, where the best model is tested on unseen speakers. Each chooses layer
# and silence on its own training speakers.
probe_whisper() {
  local partitions partition data=()
  read_plan partitions partitions train --system spectral_cnn
  for partition in "${partitions[@]}"; do
    [[ $partition = published || $partition = loso/* ]] && data+=("$partition=$out/manifests/$partition")
  done
  [ ${#data[@]} = 0 ] || python "$repo/tools/probe.py" --checkpoint "$whisper" --layers all --pad-s 0,1 --sample-rate-hz 8000 \
    --label digit --scores "$out/scores" --origin "$(origin)" --data "${data[@]}" --system whisper_probe
}

stage_report() {
  local options
  read_plan options tool report
  python "$repo/tools/report.py" "$out" --about "$repo/recipes/$recipe/report.json" "${options[@]}"
}

run_recipe "$@"
