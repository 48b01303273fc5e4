#!/usr/bin/env bash
# Catalan from Common Voice: pre-training without labels, recognition, accents. `run.sh --help` lists options and stages.
recipe=catalan_ssl
stages=(data audio manifests check pretrain finetune lm heads evaluate attribution report)
locale=ca size='' pretrained='' starts=() settings=() recognised=() division=official keep_shared=false
labels=asr,'asr_*' # how much transcribed speech: partitions, see README.md
heads=(accent gender)
joint=accent_gender # both heads on one encoder
# shellcheck source=recipes/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

recipe_help() {
  cat <<TXT
  --locale NAME       language of Common Voice; without rules in text/languages.py its letters are kept as they are
                                              (default: $locale; ca, es, en with --corpus synthetic)
  --size NAME         overlay conf/size/NAME.yaml of every training, with conf/{pretrain,finetune}_size/NAME.yaml,
                      such as base           (default: small, for CPU cores; --smoke has its own)
  --pretrained FILE   fine-tune this checkpoint instead of pre-training one; tools/convert_checkpoint.py makes one
                      from a Hugging Face folder
  --labels A,B,...    fine-tune on these amounts of transcribed speech, such as asr_10min; * stands for any
                                                                  (default: $labels; asr with --smoke)
  --start NAME=FROM   fine-tune from another language's pre-training too, for comparison: FROM is a checkpoint or the
                      folder of a run of this recipe, the row is ctc_from_NAME; may be given several times
  --division NAME     who is held out: official, by the lists of Common Voice, or drawn, speakers of every accent
                                                                  (default: official)
  --keep-shared-sentences
                      train on sentences of valid and test too, where too little is left without them
  --set CONFIG.KEY=V  a key of conf/{pretrain,finetune,heads}.yaml, such as pretrain.optimization.max_update=9000, or
                      finetune.model.layer_decay=0.9: learning rate of a layer, of that of the layer above;
                      may be given several times
TXT
}

recipe_option() {
  case $1 in
    --locale)
      [[ $2 =~ ^[a-zA-Z]{2,8}([-_][a-zA-Z0-9]+)*$ ]] || die "--locale $2: a code such as ca or sv-SE expected"
      locale=$2
      ;;
    --size)
      [ -f "$conf/size/$2.yaml" ] || die "--size $2: a file of $conf/size expected, found none"
      size=$2
      ;;
    --pretrained)
      [ ! -f "$2/config.json" ] ||
        die "--pretrained $2: a checkpoint expected, found Hugging Face's folder; run tools/convert_checkpoint.py $2 start.pt"
      [ -f "$2" ] || die "--pretrained $2: a checkpoint expected, found no file"
      pretrained=$(realpath "$2")
      ;;
    --labels) labels=$2 ;;
    --start)
      [[ $2 =~ ^[a-z0-9_]+=. ]] || die "--start $2: NAME=FROM expected, NAME of a-z, 0-9 and _"
      [ -e "${2#*=}" ] || die "--start $2: a checkpoint or the folder of a run expected, found neither"
      [[ " ${starts[*]}" != *" ${2%%=*}="* ]] || die "--start $2: another NAME expected, found one that was given before"
      starts+=("${2%%=*}=$(realpath "${2#*=}")")
      ;;
    --division)
      [[ $2 =~ ^(official|drawn)$ ]] || die "--division $2: official or drawn expected"
      division=$2
      ;;
    --set)
      [[ $2 =~ ^(pretrain|finetune|heads)\.[^=]+= ]] || die "--set $2: CONFIG.KEY=VALUE expected, CONFIG one of pretrain, finetune, heads"
      settings+=("$2")
      ;;
    *) return 1 ;;
  esac
}

recipe_flag() {
  [ "$1" = --keep-shared-sentences ] || return 1
  keep_shared=true
}

# What is not divided as usual, in words.
divided() {
  [ "$division" = official ] || printf ' division=%s' "$division"
  ! $keep_shared || printf ' keep-shared-sentences'
}

# Once a stage can go ahead: a command that was refused decides nothing.
keep_settings() {
  keep_choice "locale=$locale size=$size pretrained=$pretrained smoke=$smoke ${starts[*]} ${settings[*]}$(divided)"
}

# A line for train_all: row, config, partition, seed, overrides. Overlays of a size are for every training, for those of
# one config, and for one row of it: size/, finetune_size/, finetune_random_size/ for ctc_random.
sized_training() {
  local config=$2 chosen=() setting overlay
  for overlay in size "${config}_size" "${config}_${1#*_}_size"; do
    [ -z "$size" ] || $smoke || [ ! -f "$conf/$overlay/$size.yaml" ] || chosen+=("+$overlay=$size")
  done
  for setting in "${settings[@]}"; do
    [[ $setting != "$config".* ]] || chosen+=("${setting#"$config".}")
  done
  training "$@" "${chosen[@]}"
}

# One training of each kind, as all of them are set.
check_settings() {
  [ ${#settings[@]} -gt 0 ] || return 0
  { sized_training wav2vec2 pretrain ssl 1 && sized_training ctc_random finetune asr 1 &&
    sized_training encoder_head heads accent 1; } |
    python "$repo/tools/check_overrides.py" --conf "$conf" --user-dir "$user_dir"
}

stage_data() {
  local sizes=(--train-minutes 20 --other-speakers 32 --other-minutes 45)
  ! $smoke || sizes=(--train-speakers 8 --dev-speakers 8 --test-speakers 8 --other-speakers 4 --train-minutes 0.8
    --dev-minutes 0.5 --test-minutes 0.5 --other-minutes 0.4 --num-unread 50)
  [ -n "$corpus" ] ||
    die "--corpus expected: an unpacked cv-corpus-*, its folder of a language, a folder with recordings/, or 'synthetic'"
  if [ "$corpus" = synthetic ]; then
    corpus=$out/corpus
    python "$repo/tools/make_synthetic.py" common_voice --locale "$locale" --out "$corpus" --workers "$jobs" "${sizes[@]}"
  fi
  [ -f "$corpus/validated.tsv" ] || [ -d "$corpus/recordings" ] || corpus=$corpus/$locale
  [ -f "$corpus/validated.tsv" ] || [ -d "$corpus/recordings" ] ||
    die "--corpus: a folder with validated.tsv and clips/, or with recordings/, expected, found neither in $corpus; --locale names the language"
  if [ -f "$corpus/validated.tsv" ]; then
    prepare "$corpus" --check # not after hours of conversion
  else
    [ -z "$(divided)" ] || die "--division, --keep-shared-sentences: Common Voice expected, found recordings/ in $corpus"
  fi
  check_starts # nor after a day of pre-training
  check_settings
  keep_settings
  ln -sfn "$(cd "$corpus" && pwd)" "$out/corpus.link"
}

# Manifests of the corpus $1, with what decides about them; options of the tool may follow.
prepare() {
  local options=(--corpus "$1" --language "$locale" --division "$division" --out "$out/manifests")
  ! $keep_shared || options+=(--keep-shared-sentences)
  python "$repo/tools/prepare_common_voice.py" "${options[@]}" "${@:2}"
}

# Spoken digits, joined to utterances, instead of Common Voice: real speech that fits on a laptop.
is_digits() { [ -d "$out/corpus.link/recordings" ]; }

need_corpus() { [ -e "$out/corpus.link" ] || die "no corpus in $out; run stage data first"; }

need_manifests() { [ -f "$out/manifests/done" ] || die "no complete manifests in $out; run stage manifests first"; }

stage_audio() {
  need_corpus
  is_digits && return
  python "$repo/tools/prepare_audio.py" --source "$out/corpus.link/clips" --out "$out/audio" --workers "$jobs"
}

stage_manifests() {
  need_corpus
  keep_settings
  [ ! -f "$out/manifests/done" ] || return 0
  local minutes=(10 60)
  ! $smoke || minutes=(0.3)
  if is_digits; then
    $smoke || minutes=(1 5)
    python "$repo/tools/join_digits.py" --corpus "$out/corpus.link" --out "$out/manifests" --label-minutes "${minutes[@]}"
    touch "$out/manifests/done"
    return
  fi
  prepare "$out/corpus.link" --audio "$out/audio" --minutes "${minutes[@]}"
  touch "$out/manifests/done"
}

# Protocols below manifests/ that match the patterns; what the corpus is too small for is not there.
partitions() {
  local pattern
  for pattern in "$@"; do
    (cd "$out/manifests" && compgen -G "$pattern") | sort || true
  done
}

# What --labels asks for: partitions of recognition in `recognised`, each once, in its order.
find_recognised() {
  local patterns pattern name known matching
  need_manifests
  IFS=, read -ra patterns <<<"$($smoke && echo asr || echo "$labels")"
  mapfile -t known < <(partitions asr 'asr_*')
  recognised=()
  for pattern in "${patterns[@]}"; do
    matching=()
    # shellcheck disable=SC2053  # a pattern
    for name in "${known[@]}"; do [[ $name != $pattern ]] || matching+=("$name"); done
    # what the corpus is too small for may be missing, unless it is named
    [ ${#matching[@]} -gt 0 ] || [[ $pattern = *[*?]* ]] ||
      die "--labels $labels: some of ${known[*]} expected, found $pattern"
    for name in "${matching[@]}"; do [[ " ${recognised[*]} " = *" $name "* ]] || recognised+=("$name"); done
  done
  [ ${#recognised[@]} -gt 0 ] || die "--labels $labels: some of ${known[*]} expected, found none"
}

stage_check() {
  find_recognised # not after a day of pre-training
  [ ! -f "$out/check.txt" ] || return 0
  local check=(python "$repo/tools/check_data.py" --sample-rate-hz 16000 --quiet) found=$out/check.unfinished.txt
  mapfile -t sound < <(partitions asr 'asr_*' ssl "${heads[@]}" "$joint")
  mapfile -t leaky < <(partitions "${heads[@]/%/_leaky}" "${joint}_leaky")
  "${check[@]}" "${sound[@]/#/$out/manifests/}" >"$found" ||
    { cat "$found" && die "the manifests have errors; mend what the table names"; }
  [ ${#leaky[@]} = 0 ] || "${check[@]}" --allow-shared-speakers "${leaky[@]/#/$out/manifests/}" >>"$found" ||
    { cat "$found" && die "the manifests of the control have errors; mend what the table names"; }
  mv "$found" "$out/check.txt"
  log "manifests are sound; the tables: $out/check.txt"
}

stage_pretrain() {
  need_manifests
  keep_settings
  if [ -n "$pretrained" ]; then
    log "pre-trained already: $pretrained"
    return
  fi
  local seed
  for ((seed = 1; seed <= seeds; seed++)); do sized_training wav2vec2 pretrain ssl "$seed"; done | train_all
}

# The encoder that seed $1 starts from.
encoder() { echo "${pretrained:-$out/train/ssl/wav2vec2/seed$1/checkpoint_last.pt}"; }

# Where seed $2 of a --start $1 comes from.
start_of() {
  local from=${1#*=}
  [ ! -d "$from" ] || from=$from/train/ssl/wav2vec2/seed$2/checkpoint_last.pt
  [ -f "$from" ] || die "--start $1: $from expected, found no such file; pre-train as many --seeds there"
  echo "$from"
}

# A run may have been pre-trained with fewer seeds.
check_starts() {
  local start seed
  for start in "${starts[@]}"; do
    for ((seed = 1; seed <= seeds; seed++)); do start_of "$start" "$seed" >/dev/null; done
  done
}

# The checkpoints that this run starts from.
need_encoders() {
  local seed
  for ((seed = 1; seed <= seeds; seed++)); do
    [ -f "$(encoder "$seed")" ] || die "$(encoder "$seed") expected, found no such file; run stage pretrain first"
  done
}

list_finetunings() {
  local seed partition start from
  for ((seed = 1; seed <= seeds; seed++)); do
    for partition in "${recognised[@]}"; do
      sized_training ctc_pretrained finetune "$partition" "$seed" "model.pretrained_path=$(encoder "$seed")"
      sized_training ctc_random finetune "$partition" "$seed"
      for start in "${starts[@]}"; do
        from=$(start_of "$start" "$seed")
        sized_training "ctc_from_${start%%=*}" finetune "$partition" "$seed" "model.pretrained_path=$from"
      done
    done
  done
}

stage_finetune() {
  find_recognised
  need_encoders
  check_starts
  keep_settings
  list_finetunings | train_all
}

stage_lm() {
  need_manifests
  is_digits && return # digits follow each other at random
  [ ! -f "$out/lm.arpa" ] || return 0
  local texts=("$out/manifests/asr/train.wrd")
  [ ! -f "$out/corpus.link/validated_sentences.tsv" ] || texts+=("$out/corpus.link/validated_sentences.tsv")
  python "$repo/tools/train_lm.py" --text "${texts[@]}" --language "$locale" --out "$out/lm.arpa" \
    --exclude "$out"/manifests/asr/{valid,test}.wrd
}

list_heads() {
  local seed label
  for ((seed = 1; seed <= seeds; seed++)); do
    for label in $(partitions "${heads[@]}"); do
      sized_training encoder_head heads "$label" "$seed" "task.label=$label" "model.pretrained_path=$(encoder "$seed")"
    done
    for label in $(partitions "$joint"); do
      sized_training joint_head heads "$label" "$seed" "task.label='accent,gender'" "model.pretrained_path=$(encoder "$seed")"
    done
  done
  # One seed: the control shows an order of magnitude.
  for label in $(partitions "${heads[@]/%/_leaky}"); do
    sized_training encoder_head heads "$label" 1 "task.label=${label%_leaky}" "model.pretrained_path=$(encoder 1)"
  done
}

# What the joint training says of each of its labels, beside the heads that learnt one.
score_joint() {
  python "$repo/tools/evaluate.py" --run "$out" --origin "$1" --partitions "$joint" --heads accent=accent gender=gender \
    --intervals-over speakers
}

stage_heads() {
  need_manifests
  need_encoders
  keep_settings
  [ -z "$(partitions "${heads[@]}")" ] || list_heads | train_all
}

stage_evaluate() {
  local label name origin asked data search=()
  origin=$(origin)
  find_recognised
  is_digits || search=(--lm "$out/lm.arpa")
  is_digits || ! $smoke || search+=(--alphas 0.5 --betas 1 --unk-scores -10 --beam 4)
  python "$repo/tools/evaluate_recognition.py" --run "$out" --origin "$origin" --partitions "${recognised[@]}" "${search[@]}"
  [ -n "$pretrained" ] || python "$repo/tools/gather_pretraining.py" "$out" --partitions ssl --origin "$origin"
  for label in $(partitions "${heads[@]}"); do
    data=()
    for name in $(partitions "$label" "${label}_leaky"); do data+=("$name=$out/manifests/$name"); done
    [ ! -f "$out/scores/$name/majority/seed1/metrics.json" ] || continue # the last one
    python "$repo/tools/majority.py" --data "${data[@]}" --label "$label" --scores "$out/scores" --origin "$origin" \
      --intervals-over speakers
  done
  mapfile -t asked < <(partitions "${heads[@]}" "${heads[@]/%/_leaky}")
  [ ${#asked[@]} = 0 ] ||
    python "$repo/tools/evaluate.py" --run "$out" --origin "$origin" --partitions "${asked[@]}" --intervals-over speakers
  [ -z "$(partitions "$joint")" ] || score_joint "$origin"
}

stage_attribution() {
  local limits=()
  ! $smoke || limits=(--max-utterances 2 --method hirescam gradcam)
  find_recognised
  python "$repo/tools/attribute.py" --run "$out" --origin "$(origin)" --partitions "${recognised[0]}" "${limits[@]}"
}

stage_report() {
  local umap=() about=report
  ! $smoke || umap=(--no-umap)
  ! is_digits || about=report_digits
  python "$repo/tools/report.py" "$out" --about "$repo/recipes/$recipe/$about.json" "${umap[@]}"
}

run_recipe "$@"
