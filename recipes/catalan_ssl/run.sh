#!/usr/bin/env bash
# Catalan from Common Voice: pre-training without labels, recognition, accents. `run.sh --help` lists options and stages.
recipe=catalan_ssl
stages=(data audio manifests check pretrain finetune lm heads evaluate attribution report)
locale=ca locale_given=false division=official keep_shared=false
# shellcheck source=recipes/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

recipe_help() {
  cat <<TXT
  --locale NAME       language of Common Voice; without rules in text/languages.py its letters are kept as they are
                                              (default: $locale; ca, es, en with --corpus synthetic)
  --size NAME         base: the published sizes, for a GPU; demo: short trainings on less speech; others by overlays
                      conf/size/NAME.yaml, conf/{pretrain,finetune}_size/NAME.yaml, and plan.yaml
                                              (default: small, for CPU cores; --smoke has its own)
  --pretrained FILE   fine-tune this checkpoint instead of pre-training one; fairseq-ext convert checkpoint makes one
                      from a Hugging Face folder
  --whisper FOLDER    fine-tune the encoder of this Whisper too, frozen and not: a folder as Hugging Face lays it out
  --labels A,B,...    fine-tune on these amounts of transcribed speech, such as asr_10min; * stands for any
                                              (default: asr,asr_*; asr with --smoke, asr_10min with --size demo)
  --start NAME=FROM   fine-tune from another language's pre-training too, for comparison: FROM is a checkpoint or the
                      folder of a run of this recipe, the system is ctc_from_NAME; may be given several times
  --division NAME     who is held out: official, by the lists of Common Voice, or drawn, speakers of every accent
                                                                  (default: $division)
  --keep-shared-sentences
                      train on sentences of valid and test too, where too little is left without them
  --set CONFIG.KEY=V  a key of conf/{pretrain,finetune,heads}.yaml, such as pretrain.optimization.max_update=9000, or
                      finetune.model.layer_decay=0.9, the learning rate of a layer as a share of that of the layer above;
                      may be given several times
TXT
}

recipe_option() {
  case $1 in
    --size | --pretrained | --whisper | --labels | --start | --set) choices+=("$1" "$2") ;;
    --locale)
      [[ $2 =~ ^[a-zA-Z]{2,8}([-_][a-zA-Z0-9]+)*$ ]] || die "--locale $2: give a code such as ca or sv-SE"
      locale=$2 locale_given=true
      ;;
    --division)
      [[ $2 =~ ^(official|drawn)$ ]] || die "--division $2: choose official or drawn"
      division=$2
      ;;
    *) return 1 ;;
  esac
}

recipe_flag() {
  [ "$1" = --keep-shared-sentences ] || return 1
  keep_shared=true
}

# Print what is not divided as usual.
divided() {
  [ "$division" = official ] || printf ' division=%s' "$division"
  ! $keep_shared || printf ' keep-shared-sentences'
}

# Called when a stage can go ahead, since a command that was refused decides nothing for its folder.
keep_settings() { keep_choice "locale=$locale $(plan choice)$(divided)"; }

need_corpus() { [ -e "$out/corpus.link" ] || die "no corpus in $out; run stage data first"; }

need_manifests() { [ -f "$out/manifests/done" ] || die "no complete manifests in $out; run stage manifests first"; }

# Print which corpus the folder $1 holds. Instead of Common Voice, real speech that fits on a laptop: spoken digits, joined
# to utterances; speechocean762, learners of English.
kind_of() {
  if [ -f "$1/validated.tsv" ]; then
    echo common_voice
  elif [ -d "$1/recordings" ]; then
    echo digits
  elif [ -f "$1/utterances.tsv" ] || [ -f "$1/train/wav.scp" ]; then
    echo speechocean762
  fi
}

is_common_voice() { [ "$(kind_of "$out/corpus.link")" = common_voice ]; }

is_digits() { [ "$(kind_of "$out/corpus.link")" = digits ]; }

# Write manifests of the corpus $1; options of the tool may follow.
prepare() {
  local options=(--corpus "$1" --language "$locale" --division "$division" --out "$out/manifests")
  ! $keep_shared || options+=(--keep-shared-sentences)
  python "$repo/tools/prepare_common_voice.py" "${options[@]}" "${@:2}"
}

stage_data() {
  local sizes kind
  [ -n "$corpus" ] ||
    die "--corpus is missing: give an unpacked cv-corpus-*, its folder of a language, a folder with recordings/, speechocean762, or 'synthetic'"
  if [ "$corpus" = synthetic ]; then
    corpus=$out/corpus
    read_plan sizes tool make_synthetic
    python "$repo/tools/make_synthetic.py" common_voice --locale "$locale" --out "$corpus" --workers "$jobs" "${sizes[@]}"
  fi
  [ -n "$(kind_of "$corpus")" ] || corpus=$corpus/$locale
  kind=$(kind_of "$corpus")
  [ -n "$kind" ] ||
    die "--corpus: neither validated.tsv with clips/ nor recordings/ nor train/wav.scp in $corpus; --locale chooses the language"
  # What could stop the run after hours is checked now: options of the manifests, --start, --set.
  if [ "$kind" = common_voice ]; then
    $locale_given || check_locale
    prepare "$corpus" --check
  else
    [ -z "$(divided)" ] || die "--division, --keep-shared-sentences: these are for Common Voice, and $corpus holds $kind"
  fi
  plan starts
  check_settings
  keep_settings
  ln -sfn "$(cd "$corpus" && pwd)" "$out/corpus.link"
}

# Another language than the default is never spelled by its rules unless that was asked for.
check_locale() {
  local stated
  stated=$(python -c 'import sys; from fairseq_ext.corpora.common_voice import stated_locale; print(stated_locale(sys.argv[1]) or "")' \
    "$corpus")
  [ "${stated:-$locale}" = "$locale" ] ||
    die "--corpus $corpus: its rows are of '$stated'; give --locale $stated, or --locale $locale to spell them by the rules of '$locale'"
}

stage_audio() {
  need_corpus
  is_common_voice || return 0
  python "$repo/tools/prepare_audio.py" --source "$out/corpus.link/clips" --out "$out/audio" --workers "$jobs"
}

stage_manifests() {
  local sizes kind
  need_corpus
  keep_settings
  [ ! -f "$out/manifests/done" ] || return 0
  kind=$(kind_of "$out/corpus.link")
  if [ "$kind" = common_voice ]; then
    read_plan sizes tool prepare_common_voice
    prepare "$out/corpus.link" --audio "$out/audio" "${sizes[@]}"
  else
    local tool=join_digits
    [ "$kind" = digits ] || tool=prepare_speechocean762
    read_plan sizes tool "$tool"
    python "$repo/tools/$tool.py" --corpus "$out/corpus.link" --out "$out/manifests" "${sizes[@]}"
  fi
  touch "$out/manifests/done"
}

stage_check() {
  need_manifests
  plan partitions finetune >/dev/null # stops at a wrong --labels, before a day of pre-training
  [ -f "$out/check.txt" ] || check_manifests 16000
}

# Train what stage $1 of plan.yaml lists.
train_stage() {
  need_manifests
  plan trainings "$1" >/dev/null # stops where a checkpoint to start from is missing
  keep_settings
  train_all "$1"
}

stage_pretrain() { train_stage pretrain; }

stage_finetune() { train_stage finetune; }

stage_heads() { train_stage heads; }

stage_lm() {
  need_manifests
  ! is_digits || return 0 # digits follow each other at random
  [ ! -f "$out/lm.arpa" ] || return 0
  local texts=("$out/manifests/asr/train.wrd") spelled=() # by default as the manifest says
  ! is_common_voice || spelled=(--language "$locale")
  [ ! -f "$out/corpus.link/validated_sentences.tsv" ] || texts+=("$out/corpus.link/validated_sentences.tsv")
  python "$repo/tools/train_lm.py" --text "${texts[@]}" "${spelled[@]}" --out "$out/lm.arpa" \
    --exclude "$out"/manifests/asr/{valid,test}.wrd
}

stage_evaluate() {
  local recognised pretrained labelled joint search=() common
  common=(--run "$out" --origin "$(origin)")
  need_manifests
  read_plan recognised partitions finetune
  read_plan pretrained partitions pretrain
  read_plan labelled partitions heads --system encoder_head
  read_plan joint partitions heads --system joint_head
  if ! is_digits; then
    read_plan search tool evaluate_recognition
    search+=(--lm "$out/lm.arpa")
  fi
  python "$repo/tools/evaluate_recognition.py" "${common[@]}" --partitions "${recognised[@]}" "${search[@]}"
  [ ${#pretrained[@]} = 0 ] ||
    python "$repo/tools/gather_pretraining.py" "$out" --origin "$(origin)" --partitions "${pretrained[@]}"
  [ ${#labelled[@]} = 0 ] || score_labels "${labelled[@]}"
  # both heads of the joint training, beside the trainings of one label
  [ ${#joint[@]} = 0 ] ||
    python "$repo/tools/evaluate.py" "${common[@]}" --partitions "${joint[@]}" --intervals-over speakers \
      --heads accent=accent gender=gender
}

# Score the classifiers of the partitions given, beside the most frequent class.
score_labels() {
  local partition
  for partition in "$@"; do
    [ -f "$out/scores/$partition/majority/seed1/metrics.json" ] ||
      python "$repo/tools/majority.py" --data "$partition=$out/manifests/$partition" --label "${partition%_leaky}" \
        --scores "$out/scores" --origin "$(origin)" --intervals-over speakers
  done
  python "$repo/tools/evaluate.py" --run "$out" --origin "$(origin)" --partitions "$@" --intervals-over speakers
}

stage_attribution() {
  local recognised limits
  need_manifests
  read_plan recognised partitions finetune
  read_plan limits tool attribute
  python "$repo/tools/attribute.py" --run "$out" --origin "$(origin)" --partitions "${recognised[0]}" "${limits[@]}"
}

stage_report() {
  local options about=report
  read_plan options tool report
  is_common_voice || about=report_$(kind_of "$out/corpus.link")
  python "$repo/tools/report.py" "$out" --about "$repo/recipes/$recipe/$about.json" "${options[@]}"
}

run_recipe "$@"
