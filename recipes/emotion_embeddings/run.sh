#!/usr/bin/env bash
# Emotions from frozen speech embeddings, from recordings to cross-corpus tables. `run.sh --help` lists options and stages.
recipe=emotion_embeddings
stages=(data manifests check embed classify finetune report)
encoders=() second=() layout=() classifiers='' finetune=false
# shellcheck source=recipes/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
help_of[corpus]='DIR|synthetic            RAVDESS, CREMA-D, IEMOCAP, a folder per emotion, or the built-in CREMA-D'

recipe_help() {
  cat <<TXT
  --encoder [NAME=]PATH   encoder of the embeddings: a checkpoint of fairseq, Microsoft or ours, or a Hugging Face folder
                      of wav2vec 2.0, HuBERT, WavLM or Whisper; may be given several times
                      (default: none; MFCC, log-mel and prosody statistics are always there)
  --classifiers A,B   logistic, svm, mlp, xgboost, knn, ensemble  (default: those of plan.yaml)
  --classes A,B       emotions to keep                            (default: all)
  --finetune          train the first layers of each --encoder, too, on unseen speakers (and sessions): 10 minutes a fold
                      on one core with Whisper base
  --set finetune.KEY=V   a key of conf/finetune.yaml, such as finetune.model.pretrained_layers=8; may be given several times
  --second DIR        another corpus: train on each of the two and test on the other; may be given several times
  --speaker PATTERN   with a folder per emotion, where the speaker is; it and --table, --class, --path: see
                      fairseq-ext prepare emotion --help
TXT
}

recipe_option() {
  local classes
  case $1 in
    --encoder) encoders+=("$2") ;;
    --classifiers) classifiers=$2 ;;
    --set) choices+=("$1" "$2") ;;
    --second) second+=("$2") ;;
    --speaker | --table | --class | --path) layout+=("$1" "$2") ;;
    --classes) IFS=, read -ra classes <<<"$2" && layout+=("$1" "${classes[@]}") ;;
    *) return 1 ;;
  esac
}

recipe_flag() {
  [ "$1" = --finetune ] || return 1
  finetune=true
}

path_of() {
  local path=$1
  [[ $path != *=* ]] || [ -e "$path" ] || path=${path#*=}
  printf '%s' "$path"
}

# Print the name of an encoder: its folder below embeddings/, and what its systems are called.
name_of() {
  local name
  name=$(path_of "$1")
  [ "$name" = "$1" ] || name=${1%%=*}
  name=$(basename "$name" .pt)
  printf '%s' "${name//[^A-Za-z0-9]/_}"
}

recipe_check() {
  local encoder name tiny=tiny=$out/tiny-whisper/hf
  declare -A paths=([mfcc]=. [logmel]=. [prosody]=.)
  ! $smoke || { encoders+=("$tiny") && finetune=true; } # an encoder of its own, so that everything runs
  $finetune || [[ " ${choices[*]} " != *" --set "* ]] || die "--set: it is for --finetune, which is missing"
  ! $finetune || [ ${#encoders[@]} -gt 0 ] || die "--finetune: nothing to train; give an --encoder"
  for encoder in "${encoders[@]}"; do
    name=$(name_of "$encoder")
    [ "$encoder" = "$tiny" ] || [ -e "$(path_of "$encoder")" ] ||
      die "--encoder $encoder: no such file or folder; give a checkpoint or its folder"
    ! $finetune || [[ $name =~ ^[A-Za-z0-9_]+$ ]] || die "--encoder $encoder: give it a name of A-Z, a-z, 0-9 and _: NAME=PATH"
    [ -z "${paths[$name]:-}" ] || die "--encoder $encoder: the name $name is taken; give another: NAME=PATH"
    paths[$name]=$encoder
  done
}

stage_data() {
  local sizes length
  if $smoke; then
    read_plan length tool make_tiny_whisper
    python "$repo/tools/make_tiny_whisper.py" --out "$out/tiny-whisper" "${length[@]}"
  fi
  if [ "$corpus" = synthetic ]; then
    corpus=$out/corpus
    read_plan sizes tool make_synthetic
    python "$repo/tools/make_synthetic.py" crema_d --out "$corpus" --workers "$jobs" "${sizes[@]}"
  fi
  [ -d "$corpus" ] || die "--corpus '$corpus': no such folder; give that of the corpus, or 'synthetic'"
  ln -sfn "$(cd "$corpus" && pwd)" "$out/corpus.link"
  # What could stop the run after its embeddings is checked now.
  list_starts
  more_choices=("${starts[@]}")
  check_settings
}

# Set `starts` to the options that hand the encoders on to tools/plan.py.
list_starts() {
  local encoder name
  starts=()
  for encoder in "${encoders[@]}"; do
    name=$(name_of "$encoder")
    starts+=(--start "${name,,}=$(path_of "$encoder")")
  done
}

stage_manifests() {
  local corpus_folder sizes
  corpus_folder=$(readlink "$out/corpus.link")
  keep_choice "$corpus_folder ${second[*]} ${layout[*]} smoke=$smoke"
  [ ! -f "$out/manifests/done" ] || return 0
  read_plan sizes tool prepare_emotion
  fairseq-ext prepare emotion --corpus "$corpus_folder" "${second[@]}" --out "$out/manifests" "${layout[@]}" "${sizes[@]}"
  touch "$out/manifests/done"
}

stage_check() { check_manifests "$(cat "$out/manifests/sample_rate_hz.txt")" --any-rate; }

stage_embed() {
  local encoder workers=$jobs side_by_side=1
  # The workers of one encoder after another, for large ones; a handful of recordings take less than a worker's start.
  ! $smoke || { workers=0 && side_by_side=$jobs; }
  for encoder in mfcc logmel prosody "${encoders[@]}"; do
    line embed --encoder "$(path_of "$encoder")" --manifest "$out/manifests/all" --split test \
      --out "$out/embeddings/$(name_of "$encoder")" --workers "$workers"
  done
  run_lines "$side_by_side"
}

# Add the commands that fit classifiers on embeddings for the partitions that match $1; further options of the command
# follow. What is scored is skipped.
score() {
  local partitions data=() partition seed
  mapfile -t partitions < <(list_partitions | grep -E "$1")
  for partition in "${partitions[@]}"; do data+=("$partition=$out/manifests/$partition"); done
  [ ${#data[@]} -gt 0 ] || return 0
  for ((seed = 1; seed <= seeds; seed++)); do
    line score embeddings --data "${data[@]}" --label emotion --seed "$seed" --scores "$out/scores" \
      --origin "$(origin)" --intervals-over speakers "${groups[@]}" "${@:2}"
  done
}

# Print the label streams of the corpus among those given.
streams() {
  local stream
  for stream in "$@"; do [ ! -f "$out/manifests/all/test.$stream" ] || echo "$stream"; done
}

stage_classify() {
  local encoder kinds ensemble others embeddings=() groups=() main='^(unseen_speakers|sessions)/'
  local named='{embeddings}_{classifier}'
  read_plan kinds tool classifiers
  read_plan ensemble tool ensembles
  read_plan others tool other_classifiers
  [ -z "$classifiers" ] || IFS=, read -ra kinds <<<"--classifier,$classifiers"
  mapfile -t groups < <(streams gender intensity)
  [ ${#groups[@]} = 0 ] || groups=(--groups "${groups[@]}" --groups-data "$out/manifests/all")
  for encoder in "${encoders[@]}" mfcc logmel prosody; do embeddings+=("$out/embeddings/$(name_of "$encoder")"); done
  # What takes longest first.
  [ -n "$classifiers" ] || score "$main" --embeddings "${embeddings[@]}" "${ensemble[@]}" --system "$named" \
    --save "$out/classifiers"
  score "$main" --embeddings "${embeddings[@]}" "${kinds[@]}" --system "$named" --save "$out/classifiers"
  score "$main" --embeddings "${embeddings[@]}" --classifier logistic --system "${named}_centred" --centred
  score "$main" --embeddings "${embeddings[0]}" "${ensemble[@]}" --system "${named}_centred" --centred
  score '^(unseen_speakers_and_sentence|cross_corpus)/' --embeddings "${embeddings[@]}" "${others[@]}" --system "$named"
  score '^leaky/' --embeddings "${embeddings[@]}" "${others[@]}" --system "$named" --leaky-control
  score "$main" --embeddings "${embeddings[0]}" --classifier logistic --system shuffled_labels --control shuffled
  score "$main" --embeddings "${embeddings[0]}" --classifier logistic --system duration_only --control duration
  [ -z "$(streams sentence)" ] || speaker_probe "${embeddings[@]}"
  run_lines
}

# Compare what the first encoder gives, and MFCC, with its first classifier: is the difference chance?
compare() {
  local family folds kinds ensemble name wanted system systems
  read_plan kinds tool classifiers
  read_plan ensemble tool ensembles
  [ -z "$classifiers" ] || IFS=, read -ra kinds <<<"--classifier,$classifiers"
  name=$(name_of "${encoders[0]:-mfcc}")
  wanted=("${name}_${kinds[1]}" "${name}_${ensemble[-1]}" "${name,,}_finetuned")
  [ "$name" = mfcc ] || wanted+=("mfcc_${kinds[1]}")
  for family in unseen_speakers sessions; do
    mapfile -t folds < <(list_partitions | grep "^$family/") && systems=()
    [ ${#folds[@]} -gt 0 ] || continue
    for system in "${wanted[@]}"; do ! is_scored "$system" "${folds[@]}" || systems+=("$system"); done
    [ ${#systems[@]} -lt 2 ] ||
      fairseq-ext score comparison --run "$out" --partition "$family/" --systems "${systems[@]}"
  done
}

# Succeed if the system $1 was scored on every one of the partitions that follow.
is_scored() {
  local partition
  for partition in "${@:2}"; do [ -f "$out/scores/$partition/$1/seed1/metrics.json" ] || return 1; done
}

# Score how well the embeddings given tell speakers apart on sentences that nothing was trained on.
speaker_probe() {
  line score embeddings --embeddings "$@" --data "speaker=$out/manifests/all" --label speaker \
    --folds-by sentence --classifier logistic --system '{embeddings}_logistic' --scores "$out/scores" --origin "$(origin)"
}

# Train the encoders end to end where the classifiers of their embeddings were scored, and score them there.
stage_finetune() {
  $finetune || return 0
  local encoder name groups=() rate
  for encoder in "${encoders[@]}"; do
    name=$(name_of "$encoder")
    rate=$(sed -n 's/.*"sample_rate_hz": *\([0-9]*\).*/\1/p' "$out/embeddings/$name/about.json")
    [ "$rate" = "$(cat "$out/manifests/sample_rate_hz.txt")" ] ||
      die "--finetune: $encoder hears $rate Hz, which manifests at another rate cannot give it; leave --finetune out"
  done
  list_starts
  choices+=("${starts[@]}")
  train_all finetune
  mapfile -t groups < <(streams gender intensity)
  [ ${#groups[@]} = 0 ] || groups=(--groups "${groups[@]}" --groups-data "$out/manifests/all")
  fairseq-ext score classifier --run "$out" --origin "$(origin)" --intervals-over speakers --calibration "${groups[@]}"
}

stage_report() {
  local options best
  compare
  read_plan options tool report
  read_plan best tool ensembles
  [ -z "$classifiers" ] || best=("${classifiers##*,}")
  # It is shown in detail whatever its scores.
  fairseq-ext report page "$out" --about "$repo/recipes/$recipe/report.json" "${options[@]}" \
    --best "$(name_of "${encoders[0]:-mfcc}")_${best[-1]}"
}

run_recipe "$@"
