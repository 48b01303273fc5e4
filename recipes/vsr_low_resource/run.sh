#!/usr/bin/env bash
# From raw videos to labelled mouth clips, and to lip readers with error rates. `run.sh --help` lists options.
recipe=vsr_low_resource
stages=(data clips whisper labels align clusters1 pretrain1 clusters2 pretrain2 finetune evaluate report)
corpora=(mtedx voxceleb2 avspeech)
languages=fr,it,es,pt model='' experiments=labels size='' cluster=() crop=() decode=() filters=() again=()
# What faster-whisper downloads by name.
models=(tiny base small medium large-v1 large-v2 large-v3 large-v3-turbo)
# shellcheck source=recipes/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
help_of[corpus]='DIR|synthetic   a folder with some of mtedx/, voxceleb2/, avspeech/ as published, one of GRID, or a built-in one:
                        synthetic, synthetic_grid'
help_of[jobs]='processes that crop and label, trainings    (default: 2)'

# One drawn face among the videos makes a result synthetic: this takes the place of the function in common.sh.
origin() {
  if [ -f "$out/corpus.link/SYNTHETIC.txt" ] || compgen -G "$out/corpus.link/*/SYNTHETIC.txt" >/dev/null; then
    echo synthetic
  else
    echo real
  fi
}

recipe_help() {
  cat <<TXT
  --languages A,B,... languages that are kept                     (default: $languages)
  --model NAME|DIR    Whisper: a name to download, or a folder or file of faster-whisper, Hugging Face or OpenAI
                      (default: large-v2; for the synthetic corpus a tiny one, trained on the way; for GRID none, and
                      no automatic labels)
  --cluster OPTIONS   where cropping and labelling run, as one argument: '--executor slurm --partition gpu --shards 8'
                      (default: --jobs processes on this machine; see fairseq-ext prepare mouth --help)
  --crop OPTIONS      options for fairseq-ext prepare mouth, as one argument: '--detect-every 4'
  --decode OPTIONS    options for fairseq-ext label auto, as one argument: '--beam 1 --device cuda'
  --filters OPTIONS   options for fairseq-ext label merge, as one argument: '--min-avg-logprob -0.6'; nothing is decoded
                      again
  --update            process videos that were added, changed or removed since the last run; the others are kept
  --retry-rejected    try rejected videos whose files were fixed again, and failed ones
  --experiments A,B,...  what to train          (default: labels; of the built-in talks labels,pretraining on Spanish alone)
                        labels     people's labels alone and with those by --model; of GRID few of people's, the others
                                   by --model, all by people
                        modalities the sound alone, and both, scored in babble too
                        pretraining  after an iteration of AV-HuBERT's pre-training without labels, and the same network
                                   without it
                        iteration2  after a second iteration; with pretraining
  --labels A,B,...    partitions to train on, or patterns of them (default: each language, and all together; of GRID all
                      speakers together; of a single one, its own)
  --size NAME         of lip readers of talks: small for a GPU, base as published, overlays conf/talks_size/NAME.yaml, and of
                      pre-training conf/pretrain_size/NAME.yaml       (default: minutes of a CPU core)
  --set CONFIG.KEY=V  a key of conf/CONFIG.yaml, such as finetune.optimization.max_update=1000; may be given several times
TXT
}

recipe_option() {
  case $1 in
    --languages) languages=$2 ;;
    --model)
      [ -e "$2" ] || [[ " ${models[*]} " == *" $2 "* ]] ||
        die "--model $2: no such folder or file, and no name of faster-whisper: ${models[*]}"
      model=$2
      ;;
    --cluster)
      read -ra cluster <<<"$2"
      [[ "$2" != *--shard-id* ]] || sharing=true
      ;;
    --crop) read -ra crop <<<"$2" ;;
    --decode) read -ra decode <<<"$2" ;;
    --filters) read -ra filters <<<"$2" ;;
    --size) size=$2 && choices+=("$1" "$2") ;;
    --experiments) experiments=$2 && choices+=("$1" "$2") ;;
    --labels | --set) choices+=("$1" "$2") ;;
    *) return 1 ;;
  esac
}

recipe_flag() {
  case $1 in
    --update) again+=(--update) ;;
    # What was rejected may now have other clips.
    --retry-rejected) again+=(--update --retry-rejected --retry-failed) ;;
    *) return 1 ;;
  esac
}

# What could stop the run after hours is checked before anything is made: the options of every tool.
recipe_check() {
  local options
  choose_built_in
  [[ ,$experiments, != *,iteration2,* ]] || is_pretraining ||
    die "--experiments $experiments: iteration2 goes on where pretraining ends; choose both: pretraining,iteration2"
  mapfile -t options < <(execution)
  python "$repo/tools/prepare_mouth.py" --check --source "$out/corpus.link" --out "$out/clips" "${crop[@]}" "${options[@]}"
  python "$repo/tools/auto_label.py" --check --clips "$out/clips" --model "${model:-large-v2}" \
    --languages "$languages" --out "$out/labels" "${decode[@]}" "${options[@]}"
  python "$repo/tools/merge_labels.py" --check --clips "$out/clips" --languages "$languages" --out "$out/manifests" \
    "${filters[@]}"
}

# Of the built-in talks, unless it was said: one language, and pre-training of few updates, which take less than an hour.
choose_built_in() {
  [ "$corpus" = synthetic ] && ! $smoke && [[ " ${choices[*]} " != *" --experiments "* && " ${choices[*]} " != *" --labels "* ]] || return 0
  experiments=labels,pretraining
  choices=(--experiments "$experiments" --labels 'es*' --set pretrain.optimization.max_update=1000 "${choices[@]}")
  log "built-in talks: lip readers of Spanish, after 1,000 updates of pre-training, and without; --experiments and --labels choose others"
}

# Settings of the videos only: fairseq-ext label auto itself refuses another model or other languages.
keep_settings() { keep_choice "corpus=$(realpath "$out/corpus.link") smoke=$smoke${size:+ size=$size}"; }

# Whether the run is of GRID: the folder holds none of the corpora of talks.
is_grid() {
  local name
  for name in "${corpora[@]}"; do [ ! -d "$out/corpus.link/$name" ] || return 1; done
}

stage_data() {
  local name found=() sizes
  [ -n "$corpus" ] ||
    die "--corpus is missing: give a folder of GRID, or one that holds some of mtedx/, voxceleb2/, avspeech/, or 'synthetic'"
  if [ "$corpus" = synthetic ]; then
    corpus=$out/corpus
    for name in "${corpora[@]}"; do
      read_plan sizes tool "make_synthetic $name"
      python "$repo/tools/make_synthetic.py" "$name" --out "$corpus/$name" --workers "$jobs" "${sizes[@]}"
    done
  fi
  if [ "$corpus" = synthetic_grid ]; then
    corpus=$out/corpus
    read_plan sizes tool "make_synthetic grid"
    python "$repo/tools/make_synthetic.py" grid --out "$corpus" --workers "$jobs" "${sizes[@]}"
  fi
  for name in "${corpora[@]}"; do [ ! -d "$corpus/$name" ] || found+=("$name"); done
  [ ${#found[@]} -gt 0 ] || [ -n "$(find -L "$corpus" -name '*.align' -print -quit 2>/dev/null)" ] ||
    die "--corpus: neither ${corpora[*]} nor word times of GRID (*.align) in $corpus; give the folder that holds them"
  [ -e "$out/corpus.link" ] || ln -sfn "$(cd "$corpus" && pwd)" "$out/corpus.link"
  [ "$(realpath "$out/corpus.link")" = "$(realpath "$corpus")" ] ||
    die "$out was made from $(realpath "$out/corpus.link"); choose another --out"
  check_settings
  keep_settings
}

# Print the options of the tools that spread their work, one a line.
execution() {
  if [ ${#cluster[@]} -gt 0 ]; then printf '%s\n' "${cluster[@]}"; else printf '%s\n' --workers "$jobs"; fi
  [ ${#again[@]} -eq 0 ] || printf "%s\n" "${again[@]}"
}

# Stop here unless the table $1 exists: the last shard of a stage writes it.
all_shards() { [ -f "$1" ] || pause "this shard has done its part of the stage; when all have, give all the command again"; }

stage_clips() {
  local options layout=(--corpus all)
  keep_settings
  ! is_grid || layout=() # a clip of each video
  mapfile -t options < <(execution)
  python "$repo/tools/prepare_mouth.py" --source "$out/corpus.link" "${layout[@]}" --out "$out/clips" --audit \
    --audit-clips 1000 "${crop[@]}" "${options[@]}"
  all_shards "$out/clips/clips.tsv"
}

is_synthetic() { [ "$(origin)" = synthetic ]; }

# Print the labeller: --model, or a tiny one that was trained on nothing but the phrases of the synthetic corpora.
labeller() {
  if [ -n "$model" ]; then echo "$model"; elif is_synthetic; then echo "$out/tiny-whisper/ct2"; else echo large-v2; fi
}

stage_whisper() {
  local length
  ! is_grid || return 0
  if [ -n "$model" ] || ! is_synthetic; then
    log "the labels will be made by $(labeller)"
    return
  fi
  read_plan length tool make_tiny_whisper
  python "$repo/tools/make_tiny_whisper.py" --out "$out/tiny-whisper" "${length[@]}"
}

# Label the clips without a transcript, and the validation clips with one, whose error rate is reported.
stage_labels() {
  local options
  keep_settings
  mapfile -t options < <(execution)
  [ -f "$out/clips/clips.tsv" ] || die "no finished clips in $out; run stage clips, every shard of it, first"
  if is_grid; then
    label_grid "${options[@]}"
    return
  fi
  python "$repo/tools/auto_label.py" --clips "$out/clips" --model "$(labeller)" --languages "$languages" \
    --only 'voxceleb2/*' 'avspeech/*' 'mtedx/*/valid/*' --allow-none --out "$out/labels" "${decode[@]}" "${options[@]}"
  all_shards "$out/labels/labels.tsv"
  merge_labels
  check_manifests 16000
  python "$repo/tools/report_clips.py" --run "$out" --origin "$(origin)" --languages "$languages"
  [ -d "$out/scores" ] || { log "no transcribed validation clips, so no error rates; the tables: $out/corpus" && return; }
  make_page report.json
}

make_page() { python "$repo/tools/report.py" "$out" --about "$repo/recipes/$recipe/$1" --no-umap; }

# Write the manifests of talks.
merge_labels() {
  local name sizes known=()
  for name in "${corpora[@]}"; do
    [ ! -d "$out/corpus.link/$name" ] || known+=(--corpus "$name=$out/corpus.link/$name")
  done
  read_plan sizes tool merge_labels
  ! is_synthetic || sizes+=(--piece-kind bpe) # its few words are units
  python "$repo/tools/merge_labels.py" --clips "$out/clips" --labels "$out/labels" "${known[@]}" \
    --languages "$languages" --out "$out/manifests" --partitions "${sizes[@]}" "${filters[@]}" "$@"
}

# Of talks: train what aligns texts with the sound, and write the manifests once more, with the unit of each frame.
stage_align() {
  ! is_grid || return 0
  train_all align
  merge_labels --align "$out/train/multilingual/aligner/seed1/checkpoint_last.pt"
}

# Write the manifests of GRID; with --model also those in which its labels take the place of people's. The options are those
# that spread the work.
label_grid() {
  local prompts timed=()
  grid_manifests
  if [ -n "$model" ]; then
    # The sentences of the few labelled clips say how commands are spelled; no other text is shown to the labeller.
    prompts=$(find "$out/manifests" -maxdepth 1 -name '*.prompts.tsv' | sort | head -n 1)
    [ -n "$prompts" ] || die "--model: too few clips for a partition with few labels; leave it out"
    python "$repo/tools/auto_label.py" --clips "$out/clips" --model "$model" --languages en --no-detect --prompts "$prompts" \
      --out "$out/labels" "${decode[@]}" "$@"
    all_shards "$out/labels/labels.tsv"
    [ ! -f "$model/model.bin" ] || timed=(--align "$model") # one of faster-whisper knows when each word is said
    grid_manifests --labels "$out/labels" "${timed[@]}" "${filters[@]}"
  fi
  check_grid
}

grid_manifests() {
  local sizes
  read_plan sizes tool prepare_grid
  fairseq-ext prepare grid --corpus "$out/corpus.link" --clips "$out/clips" --out "$out/manifests" "${sizes[@]}" "$@"
}

# All partitions but those of unseen speakers test other sentences of the speakers that they train on.
check_grid() {
  local tables=$out/check.unfinished.txt shared labels=(--labels wrd words ltr) check=(fairseq-ext check --quiet)
  mapfile -t shared < <(list_partitions | grep -vxE 'unseen|ssl')
  {
    "${check[@]}" "${labels[@]}" --allow-shared-speakers "${shared[@]/#/"$out/manifests/"}" &&
      { [ ! -d "$out/manifests/ssl" ] || "${check[@]}" --allow-shared-speakers "$out/manifests/ssl"; } &&
      { [ ! -d "$out/manifests/unseen" ] || "${check[@]}" "${labels[@]}" "$out/manifests/unseen"; }
  } >"$tables" || { cat "$tables" && die "the manifests have errors; fix the rows listed in the table"; }
  mv "$tables" "$out/check.txt"
}

# Unless --labels chooses: all speakers together, a single one alone.
choose_partitions() {
  [[ " ${choices[*]} " != *" --labels "* && -d $out/manifests/overlapped ]] || return 0
  choices+=(--labels 'overlapped*,unseen*')
}

# Whether AV-HuBERT is among the --experiments.
is_pretraining() { [[ ,$experiments, = *,pretraining,* ]]; }

# Whether its second iteration is.
is_second() { [[ ,$experiments, = *,iteration2,* ]]; }

stage_clusters1() { ! is_pretraining || cluster_frames clusters1; }

stage_pretrain1() { ! is_pretraining || pretrain 1; }

# The second iteration predicts clusters of what the first one has learnt, of the network with seed 1.
stage_clusters2() {
  local depth
  is_second || return 0
  read_plan depth tool dump_features
  cluster_frames clusters2 --checkpoint "$out/train/ssl/av_hubert_1/seed1/checkpoint_last.pt" "${depth[@]}"
}

stage_pretrain2() { ! is_second || pretrain 2; }

# Give each frame of the clips to pre-train on the number of its cluster, in the folder $1: of MFCC, or of a layer of the
# checkpoint that the options of fairseq-ext features dump name.
cluster_frames() {
  local sizes splits=(train)
  [ ! -f "$out/$1/done" ] || return 0
  [ ! -f "$out/manifests/ssl/valid.tsv" ] || splits+=(valid) # the smoke run has too few clips for one
  read_plan sizes tool "cluster_features $1"
  fairseq-ext features dump --manifest "$out/manifests/ssl" --splits "${splits[@]}" --out "$out/$1/features" \
    --workers "$jobs" "${@:2}"
  fairseq-ext features cluster --features "$out/$1/features" --splits "${splits[@]}" --out "$out/$1" --workers "$jobs" \
    "${sizes[@]}"
  touch "$out/$1/done"
}

# Train iteration $1 of AV-HuBERT.
pretrain() {
  choices+=(--set "pretrain.task.label_dir=$out/clusters$1" --set "pretrain.task.video_cache=$out/pictures")
  train_all "pretrain$1"
}

stage_finetune() {
  choose_partitions
  choices+=(--set "finetune.task.video_cache=$out/pictures" --set "talks.task.video_cache=$out/pictures")
  train_all finetune
}

stage_evaluate() {
  local name recognised alone noise=() options=()
  choose_partitions
  read_plan recognised partitions finetune
  is_grid || read_plan options tool "score_recognition talks"
  # lips hear no noise: only beside recognisers with sound
  [[ ,$experiments, != *,modalities,* ]] || read_plan noise tool "score_recognition babble"
  options+=("${noise[@]}")
  # What has all languages is scored in each; a corpus without mTEDx has no test.
  mapfile -t alone < <(cd "$out/manifests" && for name in "${recognised[@]}"; do
    [[ $name = multilingual* || ! -f $name/test.tsv ]] || echo "$name"
  done)
  [ ${#alone[@]} = 0 ] ||
    fairseq-ext score recognition --run "$out" --partitions "${alone[@]}" --origin "$(origin)" "${options[@]}"
  score_shared "${options[@]}"
}

# Draw where the lip readers look, and how much of it is on the lips; what is drawn is kept.
draw_lips() {
  local recognised limits
  choose_partitions
  read_plan recognised partitions finetune
  read_plan limits tool explain
  fairseq-ext explain --run "$out" --origin "$(origin)" --partitions "${recognised[@]}" "${limits[@]}"
}

# Score what was trained on all languages in each of them, beside what was trained on that alone; with options of
# fairseq-ext score recognition.
score_shared() {
  local checkpoint system family seed folder name
  for checkpoint in "$out"/train/multilingual*/*/seed*/checkpoint_last.pt; do
    IFS=/ read -r family system seed _ <<<"${checkpoint#"$out/train/"}"
    [ "$system" != aligner ] && [ -f "${checkpoint%/*}/done" ] || continue
    for folder in "$out/manifests/"*"${family#multilingual}"; do
      name=${folder##*/}
      [[ $name =~ ^[a-z]{2,3}"${family#multilingual}"$ && -f $folder/test.tsv ]] || continue
      line score recognition --checkpoint "$checkpoint" --data "$folder" --system "${system}_shared" --partition "$name" \
        --seed "${seed#seed}" --out "$out/scores/$name/${system}_shared/$seed" --origin "$(origin)" "$@"
    done
  done
  run_lines
}

stage_report() {
  if is_grid; then
    draw_lips
    make_page report_grid.json
  else
    make_page report.json
  fi
}

run_recipe "$@"
