#!/usr/bin/env bash
# Accent embeddings by metric learning, tested on unseen speakers. `run.sh --help` lists options and stages.
recipe=accent_embedding
stages=(data manifests check features train embed evaluate report)
layout=() experiments=accent
# shellcheck source=recipes/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
help_of[corpus]='DIR|synthetic            L2-ARCTIC, a folder per accent, speechocean762 (--experiments speaker), or the built-in L2-ARCTIC'

recipe_help() {
  cat <<TXT
  --experiments A,B,...  what to train                            (default: accent)
                        accent     the encoder, one speaker of each accent left out, all folds
                        losses     the same without one of its losses, and with an adversary
                        groups     the same with one group of features alone, and without one
                        fusion     the same with the groups fused frame by frame, not by an embedding of each
                        speaker    speakers of speechocean762 in the place of accents: does metric learning work
  --set CONFIG.KEY=V    a key of conf/CONFIG.yaml, such as accent.optimization.max_update=100; may be given several times
  --folds N             folds of speakers                         (default: as many as an accent has speakers, at most 8)
  --speaker PATTERN     with a folder per accent, where the speaker is; it and --table, --class, --path: see
                        fairseq-ext prepare accent --help
TXT
}

recipe_option() {
  case $1 in
    --experiments) experiments=$2 && choices+=("$1" "$2") ;;
    --set) choices+=("$1" "$2") ;;
    --folds | --speaker | --table | --class | --path) layout+=("$1" "$2") ;;
    *) return 1 ;;
  esac
}

is_speaker() { [ "$experiments" = speaker ]; }

recipe_check() {
  is_speaker || [[ ,$experiments, != *,speaker,* ]] ||
    die "--experiments $experiments: speaker is about another corpus; run it alone, with another --out"
  ! is_speaker || [ ${#layout[@]} = 0 ] || die "${layout[0]}: it is for accents; leave it out with --experiments speaker"
}

stage_data() {
  local sizes
  if [ "$corpus" = synthetic ]; then
    ! is_speaker || die "--corpus synthetic: its accents are for the other experiments; give the folder of speechocean762"
    corpus=$out/corpus
    read_plan sizes tool make_synthetic
    python "$repo/tools/make_synthetic.py" l2_arctic --out "$corpus" --workers "$jobs" "${sizes[@]}"
  fi
  [ -d "$corpus" ] || die "--corpus '$corpus': no such folder; give that of the corpus, or 'synthetic'"
  ln -sfn "$(cd "$corpus" && pwd)" "$out/corpus.link"
  check_settings
}

stage_manifests() {
  local corpus_folder sizes=()
  corpus_folder=$(readlink "$out/corpus.link")
  keep_choice "$corpus_folder ${layout[*]} smoke=$smoke speaker=$(is_speaker && echo true || echo false)"
  [ ! -f "$out/manifests/done" ] || return 0
  if is_speaker; then
    fairseq-ext prepare speechocean762 --corpus "$corpus_folder" --verification --out "$out/manifests"
  else
    [ "$(origin)" = real ] || read_plan sizes tool prepare_accent
    fairseq-ext prepare accent --corpus "$corpus_folder" --out "$out/manifests" "${layout[@]}" "${sizes[@]}"
  fi
  touch "$out/manifests/done"
}

stage_check() { check_manifests 16000 --any-rate; }

stage_features() {
  is_speaker || fairseq-ext features voice --manifest "$out/manifests/all" --split test --out "$out/features" --workers "$jobs"
}

stage_train() {
  # Features are measured once for all trainings.
  is_speaker || { choices+=(--set "accent.task.feature_store=$out/features") && fit_batches; }
  train_all train
}

# A batch holds recordings of as many accents as conf/accent.yaml says; where a training has fewer, of all of those.
fit_batches() {
  local partition count wanted fewest size
  [[ " ${choices[*]} " != *" accent.task.classes_per_batch="* ]] || return 0
  wanted=$(sed -n 's/^ *classes_per_batch: *\([0-9]*\).*/\1/p' "$conf/accent.yaml")
  fewest=$wanted
  while IFS= read -r partition; do
    count=$(sort -u "$out/manifests/$partition/train.accent" | wc -l)
    [ "$count" -ge "$fewest" ] || fewest=$count
  done < <(list_partitions)
  [ "$fewest" -lt "$wanted" ] || return 0
  log "a training has $fewest accents only: $fewest in a batch instead of $wanted (accent.task.classes_per_batch)"
  size=$(sed -n 's/^ *batch_size: *\([0-9]*\).*/\1/p' "$conf/accent.yaml")
  choices+=(--set "accent.task.classes_per_batch=$fewest" --set "accent.dataset.batch_size=$((size * fewest / wanted))")
}

# Print PARTITION, SYSTEM and SEED of each training, with tabs between them.
trained() {
  (cd "$out/train" && find . -name checkpoint_last.pt | sed -E 's,^\./(.*)/([^/]+)/seed([0-9]+)/[^/]*$,\1\t\2\t\3,' | sort)
}

# Call the function $1 with partition, system and seed of each training.
for_each_training() {
  local partition system seed
  while IFS=$'\t' read -r partition system seed; do "$1" "$partition" "$system" "$seed"; done < <(trained)
}

stage_embed() {
  local baseline split
  if is_speaker; then
    for split in train test; do embed mfcc speakers "$split" "mfcc_$split"; done
  else
    for baseline in prosody mfcc; do embed "$baseline" all test "$baseline"; done # prosody takes longest
  fi
  for_each_training embed_training
  run_lines
}

# Embed the split $3 of the manifests $2 by the encoder $1 into embeddings/$4; further options follow. Encoders run side
# by side, so each takes one process.
embed() {
  line embed --encoder "$1" --manifest "$out/manifests/$2" --split "$3" --out "$out/embeddings/$4" --workers 0 "${@:5}"
}

# Embed the recordings of the corpus by a training.
embed_training() {
  local folder=$1/$2/seed$3 checkpoint split
  checkpoint=$out/train/$folder/checkpoint_best.pt # by what conf/*.yaml names, of the validation speakers
  [ -f "$checkpoint" ] || checkpoint=$out/train/$folder/checkpoint_last.pt
  if is_speaker; then
    for split in train test; do embed "$checkpoint" "$1" "$split" "${folder}_$split"; done
  else
    embed "$checkpoint" all test "$folder" --features "$out/features"
  fi
}

stage_evaluate() {
  if is_speaker; then
    verify "$out/embeddings/mfcc_train" "$out/embeddings/mfcc_test" --data "speakers=$out/manifests/speakers" \
      --label speaker --backend lda --system mfcc_lda
    for_each_training verify_speakers
  else
    score_baselines
    for_each_training score_training
  fi
  run_lines
}

verify() {
  line score verification --scores "$out/scores" --origin "$(origin)" --embeddings "$@"
}

verify_speakers() {
  local embeddings=$out/embeddings/$1/$2/seed$3 data=("$1=$out/manifests/$1")
  verify "${embeddings}_test" --data "${data[@]}" --label speaker --system "$2" --seed "$3"
  verify "${embeddings}_train" "${embeddings}_test" --data "${data[@]}" --label speaker --backend lda --system "$2_lda" --seed "$3"
}

score() {
  local groups=()
  [ ! -f "$out/manifests/all/test.gender" ] || groups=(--groups gender --groups-data "$out/manifests/all")
  line score embeddings --scores "$out/scores" --origin "$(origin)" --label accent --intervals-over speakers "${groups[@]}" "$@"
}

# Score a training on the partition that it was trained on: accents of its test speakers, pairs of them, and what its
# embeddings tell of the speaker.
score_training() {
  local embeddings=$out/embeddings/$1/$2/seed$3 manifests=$out/manifests/$1 options=() by_sentence=()
  [[ $1 != leaky/* ]] || options+=(--leaky-control)
  [ "$3" != 1 ] || options+=(--save "$out/classifiers") # one is enough, and stage report explains that training
  score --embeddings "$embeddings" --data "$1=$manifests" --classifier centroid --system "$2" --seed "$3" "${options[@]}"
  [[ $1 = unseen_speakers/* && $2 = encoder ]] || return 0
  score --embeddings "$embeddings" --data "$1=$manifests" --classifier knn logistic --system "$2_{classifier}" --seed "$3"
  [ ! -f "$manifests/test.sentence" ] || by_sentence=(--pairs-by sentence)
  if has_pairs "$manifests"; then
    verify "$embeddings" --data "pairs/${1#*/}=$manifests" --label accent --system "$2" --seed "$3" "${by_sentence[@]}"
  else
    log "$1: one test speaker of each accent, so no pairs of two speakers of one accent"
  fi
  [ ${#by_sentence[@]} -gt 0 ] || return 0
  line score embeddings --scores "$out/scores" --origin "$(origin)" --label speaker --folds-by sentence \
    --embeddings "$embeddings" --data "speaker/${1#*/}=$manifests" --classifier logistic --system "$2_logistic" --seed "$3"
}

# Succeed if an accent has two test speakers in the manifests $1.
has_pairs() {
  local column
  column=$(head -n 1 "$1/test.meta.tsv" | tr '\t' '\n' | grep -nx speaker | cut -d: -f1)
  [ -n "$(paste "$1/test.accent" <(tail -n +2 "$1/test.meta.tsv" | cut -f "$column") | sort -u | cut -f 1 | uniq -d)" ]
}

# Statistics of features that nothing learnt, shuffled labels and lengths alone.
score_baselines() {
  local partition baseline data=() leaky=() named='{embeddings}_logistic'
  while IFS= read -r partition; do
    if [[ $partition = leaky/* ]]; then leaky+=("$partition=$out/manifests/$partition"); else data+=("$partition=$out/manifests/$partition"); fi
  done < <(list_partitions)
  for baseline in "$out/embeddings/"{mfcc,prosody}; do
    score --embeddings "$baseline" --data "${data[@]}" --classifier logistic --system "$named"
    [ ${#leaky[@]} = 0 ] ||
      score --embeddings "$baseline" --data "${leaky[@]}" --classifier logistic --system "$named" --leaky-control
  done
  score --embeddings "$out/embeddings/mfcc" --data "${data[@]}" --classifier logistic --system shuffled_labels --control shuffled
  score --embeddings "$out/embeddings/mfcc" --data "${data[@]}" --classifier logistic --system duration_only --control duration
}

stage_report() {
  local options about=report.json first=unseen_speakers/fold01/encoder/seed1
  ! is_speaker || about=report_speaker.json
  read_plan options tool report
  is_speaker || [ ! -d "$out/train/$first" ] || [ -f "$out/attribution/groups.json" ] || explain_groups "$first"
  fairseq-ext report page "$out" --about "$repo/recipes/$recipe/$about" "${options[@]}"
}

# What the groups of features contribute to the training in train/$1.
explain_groups() {
  local checkpoint=$out/train/$1/checkpoint_best.pt
  [ -f "$checkpoint" ] || checkpoint=$out/train/$1/checkpoint_last.pt
  fairseq-ext explain "$checkpoint" --data "$out/manifests/${1%/*/*}" --out "$out/attribution" \
    --classifier "$out/classifiers/${1%/*}"
}

run_recipe "$@"
