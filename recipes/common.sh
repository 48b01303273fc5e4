# Sourced by every recipe's run.sh: options, named stages, timed log, trainings.
#
# A run.sh sets `recipe` (its folder's name) and `stages` (an array of names, each with a function stage_<name>). It may
# define `recipe_option NAME VALUE` and `recipe_flag NAME` for further options, with `recipe_help` for their help text;
# `help_of` holds the help of the common ones. Then it calls `run_recipe "$@"`. What is trained is listed in plan.yaml, which
# tools/plan.py expands; an option that decides about it is added to `choices`.
# Every step looks for what it has already made, so a run that was killed continues where it stopped.
# shellcheck shell=bash disable=SC2034,SC2154  # run.sh sets and reads these
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
conf=$repo/recipes/$recipe/conf
corpus='' out='' first='' last='' jobs=2 seeds=1 smoke=false choices=()
started=$SECONDS
declare -A help_of=(
  [corpus]='DIR|synthetic            the corpus in its published layout, or the built-in one'
  [seeds]='seeds 1 to N of each training               (default: 1)'
  [jobs]='trainings side by side                      (default: 2)'
)
export HYDRA_FULL_ERROR=1 PYTHONUNBUFFERED=1
# A log file gets a line for each state of a progress bar: one in ten seconds is enough.
[ -t 2 ] || export TQDM_MININTERVAL=${TQDM_MININTERVAL:-10}
# Threads slow small networks down: the cores are used by trainings side by side instead.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} MKL_NUM_THREADS=${MKL_NUM_THREADS:-1}
[ -x "$repo/.venv/bin/python" ] && PATH=$repo/.venv/bin:$PATH

log() { printf '[%02d:%02d] %s\n' $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60)) "$*"; }

die() {
  printf 'recipes/%s/run.sh: %s\n' "$recipe" "$*" >&2
  exit 1
}

usage() {
  cat <<TXT
usage: recipes/$recipe/run.sh [options]

  --corpus ${help_of[corpus]}
  --out DIR           everything the run writes                   (default: runs/$recipe)
  --stage NAME        first stage: name or number                 (default: ${stages[0]})
  --stop-stage NAME   last stage                                  (default: ${stages[-1]})
  --seeds N           ${help_of[seeds]}
  --jobs N            ${help_of[jobs]}
  --smoke             a few updates of everything on a handful of built-in recordings: does it run, not how well
TXT
  if declare -F recipe_help >/dev/null; then recipe_help; fi
  echo
  echo "stages: $(stage_list)"
  echo "A run that was interrupted continues when the same command is given again."
}

stage_list() {
  local i
  for i in "${!stages[@]}"; do printf '%d %s  ' "$i" "${stages[i]}"; done
}

parse_options() {
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help) usage && exit 0 ;;
      --smoke) smoke=true && shift && continue ;;
      *) ! { declare -F recipe_flag >/dev/null && recipe_flag "$1"; } || { shift && continue; } ;;
    esac
    [ $# -ge 2 ] || die "$1: a value is missing; see --help"
    case $1 in
      --corpus) corpus=$2 ;;
      --out) out=$2 ;;
      --stage) first=$2 ;;
      --stop-stage) last=$2 ;;
      --seeds) seeds=$2 ;;
      --jobs) jobs=$2 ;;
      *) { declare -F recipe_option >/dev/null && recipe_option "$1" "$2"; } || die "$1: no such option; see --help" ;;
    esac
    shift 2
  done
  [[ $seeds =~ ^[1-9][0-9]*$ ]] || die "--seeds $seeds: give a whole number from 1"
  [[ $jobs =~ ^[1-9][0-9]*$ ]] || die "--jobs $jobs: give a whole number from 1"
  ! $smoke || choices+=(--smoke)
}

# Print the number of the stage called $1; $1 may be the number already.
stage_number() {
  local i
  for i in "${!stages[@]}"; do
    if [ "$1" = "$i" ] || [ "$1" = "${stages[i]}" ]; then
      echo "$i"
      return
    fi
  done
  die "$1: no such stage; choose from: $(stage_list)"
}

# One run per folder: two would write the same checkpoints. Trainings hold the lock too, until they have noticed
# that their run.sh is gone (a second), so a rerun waits for them instead of racing them.
lock_run() {
  exec 9>"$out/.lock"
  command -v flock >/dev/null || return 0
  flock -n 9 && return
  log "another run is using $out (or the trainings of a killed run still end); waiting up to 30 s"
  flock -w 30 9 || die "$out is in use by another run; wait for it, stop it, or choose another --out"
}

run_recipe() {
  parse_options "$@"
  local from to i
  from=$(stage_number "${first:-0}")
  to=$(stage_number "${last:-$((${#stages[@]} - 1))}")
  [ "$from" -le "$to" ] || die "--stop-stage ${stages[to]}: comes before --stage ${stages[from]}; stages: $(stage_list)"
  out=${out:-$repo/runs/$recipe}
  [ ! -f "$conf/../plan.yaml" ] || plan check
  mkdir -p "$out"
  out=$(cd "$out" && pwd)
  lock_run
  user_dir=$(python -c 'import fairseq_ext, os; print(os.path.dirname(fairseq_ext.__file__))') ||
    die "no fairseq_ext in $(command -v python); run 'make env' in the checkout, or activate your environment"
  export recipe repo conf out user_dir started run_pid=$$
  for ((i = from; i <= to; i++)); do
    log "stage $i ${stages[i]}"
    "stage_${stages[i]}"
  done
  log "done"
  exit 0 # bash reads run.sh as it goes, and it may have been updated meanwhile
}

# End a run in good order before its last stage, because what comes next cannot be done yet.
pause() {
  log "$*"
  exit 0
}

# What is finished is not repeated, so a run folder holds one choice of settings: the text $1.
keep_choice() {
  [ -f "$out/settings.txt" ] || printf '%s\n' "$1" >"$out/settings.txt"
  local before
  before=$(cat "$out/settings.txt")
  [ "$before" = "$1" ] || die "$out was made with the settings '$before', not '$1'; choose another --out"
}

# Print whether the recordings are real or synthetic, which every result states.
origin() {
  # Common Voice keeps the label beside the folders of its languages
  if [ -f "$out/corpus.link/SYNTHETIC.txt" ] || [ -f "$out/corpus.link/../SYNTHETIC.txt" ]; then echo synthetic; else echo real; fi
}

# Ask tools/plan.py about this run, e.g. `plan partitions finetune`.
plan() { python "$repo/tools/plan.py" "$repo/recipes/$recipe" "$out" "$@" --seeds "$seeds" "${choices[@]}"; }

# Read the lines of an answer into the array $1, e.g. `read_plan names partitions finetune`; stop where plan.py does.
read_plan() {
  local answer
  answer=$(plan "${@:2}")
  mapfile -t "$1" < <([ -z "$answer" ] || printf '%s\n' "$answer")
}

# Train what plan.yaml lists for stage $1, $jobs side by side. What is finished is skipped, what was killed continues.
# Checkpoints: $out/train/PARTITION/SYSTEM/seedN.
train_all() {
  python "$repo/tools/train_all.py" "$repo/recipes/$recipe" "$out" "$1" --seeds "$seeds" "${choices[@]}" \
    --user-dir "$user_dir" --jobs "$jobs" --pid "$run_pid" ||
    die "a training failed; fix what its log names and give the same command again"
}

# Check the manifests of every partition at a sample rate of $1 Hz, with the options that follow. Controls, whose names have
# "leaky" in them, may share speakers. The tables of what was found go to check.txt; an error stops the run.
check_manifests() {
  local found=$out/check.unfinished.txt sound controls
  mapfile -t sound < <(list_partitions | grep -v leaky)
  mapfile -t controls < <(list_partitions | grep leaky)
  local check=(python "$repo/tools/check_data.py" --sample-rate-hz "$@" --quiet)
  "${check[@]}" "${sound[@]/#/$out/manifests/}" >"$found" ||
    { cat "$found" && die "the manifests have errors; fix the rows listed in the table"; }
  [ ${#controls[@]} = 0 ] || "${check[@]}" --allow-shared-speakers "${controls[@]/#/$out/manifests/}" >>"$found" ||
    { cat "$found" && die "the manifests of the control have errors; fix the rows listed in the table"; }
  mv "$found" "$out/check.txt"
  log "the manifests have no errors; the tables: $out/check.txt"
}

list_partitions() { (cd "$out/manifests" && find . -mindepth 2 -name train.tsv | sed 's,^\./,,; s,/train.tsv$,,' | sort); }
