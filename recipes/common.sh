# Sourced by every recipe's run.sh: options, named stages, timed log, parallel training.
#
# A run.sh sets `recipe` (its folder's name), `stages` (an array of names, each with a function stage_<name>), may define
# `recipe_option NAME VALUE` and `recipe_flag NAME` for options of its own and `recipe_help` for their text, then calls
# `run_recipe "$@"`. `help_of` holds what options mean that are every recipe's.
# Every step looks for what it already made, so a run that was killed continues where it stopped.
# shellcheck shell=bash disable=SC2034,SC2154  # run.sh sets and reads these
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
conf=$repo/recipes/$recipe/conf
corpus='' out='' first='' last='' jobs=2 seeds=1 smoke=false
started=$SECONDS
declare -A help_of=(
  [corpus]='DIR|synthetic            the corpus in its published layout, or the built-in one'
  [seeds]='seeds 1..N for the headline rows            (default: 1)'
  [jobs]='trainings side by side                      (default: 2)'
)
export HYDRA_FULL_ERROR=1 PYTHONUNBUFFERED=1
# In a log that is no terminal each state of a progress bar is a line of its own: one in ten seconds is enough.
[ -t 2 ] || export TQDM_MININTERVAL=${TQDM_MININTERVAL:-10}
# Small networks lose time to threads: the cores go to trainings side by side instead.
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
    [ $# -ge 2 ] || die "$1: a value expected, found none; see --help"
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
  [[ $seeds =~ ^[1-9][0-9]*$ ]] || die "--seeds $seeds: a whole number from 1 expected"
  [[ $jobs =~ ^[1-9][0-9]*$ ]] || die "--jobs $jobs: a whole number from 1 expected"
}

# Number of the stage called $1; $1 may be the number already.
stage_number() {
  local i
  for i in "${!stages[@]}"; do
    if [ "$1" = "$i" ] || [ "$1" = "${stages[i]}" ]; then
      echo "$i"
      return
    fi
  done
  die "$1: no such stage; expected one of: $(stage_list)"
}

# One run per folder: two would write the same checkpoints. Trainings hold the lock too, until they have noticed
# that their run.sh is gone (a second), so a rerun waits for them instead of racing them.
lock_run() {
  exec 9>"$out/.lock"
  command -v flock >/dev/null || return 0
  flock -n 9 && return
  log "another run is using $out (or one that was killed is still letting go); waiting up to 30 s"
  flock -w 30 9 || die "$out is in use by another run; wait for it, stop it, or choose another --out"
}

run_recipe() {
  parse_options "$@"
  local from to i
  from=$(stage_number "${first:-0}")
  to=$(stage_number "${last:-$((${#stages[@]} - 1))}")
  [ "$from" -le "$to" ] || die "--stop-stage ${stages[to]}: a stage from ${stages[from]} on expected; see --help"
  out=${out:-$repo/runs/$recipe}
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

# Ends a run in good order before its last stage: what comes next cannot be done yet.
pause() {
  log "$*"
  exit 0
}

# What is finished is not repeated, so a folder holds one choice of settings: $1, in words.
keep_choice() {
  [ -f "$out/settings.txt" ] || printf '%s\n' "$1" >"$out/settings.txt"
  local before
  before=$(cat "$out/settings.txt")
  [ "$before" = "$1" ] || die "$out: settings '$before' expected, found '$1'; choose another --out"
}

# A line for train_all: row, config, partition, seed, overrides. Without a valid split there is no learning curve to draw.
training() {
  local line
  line=$(printf '%s\t' "$@")
  [ -f "$out/manifests/$3/valid.tsv" ] || line+=$'dataset.disable_validation=true\t'
  ! $smoke || line+=$'+size=smoke\t'
  printf '%s\n' "${line%$'\t'}"
}

# real or synthetic: what every result says of its recordings.
origin() {
  # Common Voice keeps the label beside the folders of its languages
  if [ -f "$out/corpus.link/SYNTHETIC.txt" ] || [ -f "$out/corpus.link/../SYNTHETIC.txt" ]; then echo synthetic; else echo real; fi
}

# Reads trainings from standard input, a line each as of `training`, and runs $jobs side by side. Those that are finished
# are skipped, those that were killed continue. Checkpoints: $out/train/PROTOCOL/ROW/seedN.
train_all() {
  local list=$out/.trainings
  cat >"$list"
  local total
  total=$(wc -l <"$list")
  log "$total trainings, $jobs side by side; each one's log: $out/train/*/*/*/stdout.log"
  python "$repo/tools/train_all.py" "$list" "$out" --conf "$conf" --user-dir "$user_dir" --jobs "$jobs" --pid "$run_pid" ||
    die "a training failed; mend what its log names and give the same command again"
}
