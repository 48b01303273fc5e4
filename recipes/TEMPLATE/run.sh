#!/usr/bin/env bash
# Anybody's data set of classes, from a folder per class or a table to a report. `run.sh --help` lists options.
recipe=$(basename "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)")
stages=(data manifests check train evaluate report)
prepare=() # options of fairseq-ext prepare classes
# shellcheck source=recipes/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
help_of[corpus]='DIR|synthetic            folder of the class folders (with --table: of its paths), or the built-in digits'

recipe_help() {
  cat <<TXT
  --speaker PATTERN   where the speaker is: number of a folder in the path (1 is the class), a regular expression with
                      a group (?P<speaker>...), or a column       (default: column speaker)
  --table FILE        csv or tsv with a header, a row per recording, instead of a folder per class
  --class NAME        column of the classes                       (default: class); so --path, --split, --start, --end
  --partitions A,B    published, leave_one_speaker_out, leave_one_group_out (with --group), few_labels, leaky
                                                                  (default: leave_one_speaker_out)
  --max-folds N       most folds; more speakers are left out together (default: 10)
  --sample-rate-hz N  sample rate of training                     (default: that of the files)
  --no-speakers       accept a random split; scores are then not speaker-independent
TXT
}

recipe_option() {
  case $1 in
    --partitions)
      local names
      IFS=, read -ra names <<<"$2"
      prepare+=(--partitions "${names[@]}")
      ;;
    --speaker | --table | --class | --path | --split | --start | --end | --group | --max-folds | --sample-rate-hz)
      prepare+=("$1" "$2")
      ;;
    *) return 1 ;;
  esac
}

recipe_flag() {
  [ "$1" = --no-speakers ] || return 1
  prepare+=(--no-speakers)
}

stage_data() {
  if [ "$corpus" = synthetic ]; then
    corpus=$out/corpus
    local sizes
    read_plan sizes tool make_synthetic
    python "$repo/tools/make_synthetic.py" digit_folders --out "$corpus" "${sizes[@]}"
  fi
  [ -d "$corpus" ] || die "--corpus '$corpus': no such folder; give a folder of class folders, or 'synthetic'"
  ln -sfn "$(cd "$corpus" && pwd)" "$out/corpus.link"
}

stage_manifests() {
  local corpus_folder
  corpus_folder=$(readlink "$out/corpus.link")
  [ "$corpus_folder" != "$out/corpus" ] || prepare=(--speaker 2 "${prepare[@]}") # WORD/SPEAKER/INDEX.wav
  keep_choice "$corpus_folder ${prepare[*]}"
  python "$repo/tools/prepare_classes.py" --corpus "$out/corpus.link" --out "$out/manifests" "${prepare[@]}"
}

sample_rate_hz() { cat "$out/manifests/sample_rate_hz.txt"; }

stage_check() { check_manifests "$(sample_rate_hz)" --any-rate; }

stage_train() {
  choices+=(--set "temporal_cnn.task.sample_rate_hz=$(sample_rate_hz)")
  train_all train
}

stage_evaluate() {
  python "$repo/tools/evaluate.py" --run "$out" --origin "$(origin)"
}

stage_report() {
  local options
  read_plan options tool report
  python "$repo/tools/report.py" "$out" "${options[@]}"
}

run_recipe "$@"
