# Sourced by every recipe's run.sh: options, named stages, timed log, trainings.
#
# A run.sh sets `recipe` (its folder's name) and `stages` (an array of names, each with a function stage_<name>). It may
# define `recipe_option NAME VALUE` and `recipe_flag NAME` for further options, with `recipe_help` for their help text;
# `help_of` holds the help of the common ones. `recipe_check` ends a run that has a wrong option before anything is made.
# Then it calls `run_recipe "$@"`. What is trained is listed in plan.yaml, which tools/plan.py expands; an option that
# decides about it is added to `choices`.
# Every step looks for what it has already made, so a run that was killed continues where it stopped.
# shellcheck shell=bash disable=SC2034,SC2154  # run.sh sets and reads these
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
conf=$repo/recipes/$recipe/conf
corpus='' out='' first='' last='' jobs=2 seeds=1 smoke=false choices=() lines=() lock_wait_s=30
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

# One run per folder: two would write the same checkpoints. Every process of a run inherits the lock, so a rerun waits for
# those of a run that was killed instead of racing them, and names them where they stay. Runs that each do a shard of the
# same stage (`sharing=true`) hold it together.
sharing=false
lock_run() {
  local kind=-x
  ! $sharing || kind=-s
  exec 9>"$out/.lock"
  command -v flock >/dev/null || return 0
  flock -n "$kind" 9 && return
  log "another run is using $out: $(lock_holders); waiting up to $lock_wait_s s"
  flock -w "$lock_wait_s" "$kind" 9 || die "$out is in use by $(lock_holders); stop them with kill, or choose another --out"
}

# Print number and command of the processes that hold the lock.
lock_holders() {
  local fd pid holders=()
  for fd in /proc/[0-9]*/fd/9; do
    pid=${fd#/proc/} && pid=${pid%%/*}
    # the subshell that prints this has inherited the file too
    [ "$pid" != $$ ] && [ "$pid" != "$BASHPID" ] && [ "$fd" -ef "$out/.lock" ] || continue
    holders+=("process $pid ($(tr -c '[:print:]' ' ' <"/proc/$pid/cmdline" | cut -c 1-60))")
  done
  local IFS=,
  echo "${holders[*]:-a process of another machine}"
}

# Compose the configurations that a --set changes, so that a wrong key stops the run in its first seconds. A recipe whose
# plan needs more than the user's choices puts these options into `more_choices`.
more_choices=()
check_settings() {
  [[ " ${choices[*]} " != *" --set "* ]] ||
    python "$repo/tools/check_overrides.py" "$repo/recipes/$recipe" "$out" "${choices[@]}" "${more_choices[@]}" \
      --user-dir "$user_dir"
}

# Run the stages from number $1 to $2.
run_stages() {
  local i
  set +m # what a stage starts stays in its process group
  for ((i = $1; i <= $2; i++)); do
    log "stage $i ${stages[i]}"
    "stage_${stages[i]}"
  done
  log "done"
}

# Run the stages in a process group of their own, which ends with this process, however that ends: a shell runs its traps
# after the command that it waits for, and none when it is killed outright.
supervise() {
  local group watcher status=0
  set -m # gives each of the two a process group
  run_stages "$@" </dev/null &
  group=$!
  end_with_run "$group" 9>&- >/dev/null 2>&1 & # a reader of the output does not wait for it
  watcher=$!
  set +m
  trap 'end_early "$group"; exit 129' HUP
  trap 'end_early "$group"; exit 130' INT
  trap 'end_early "$group"; exit 143' TERM
  wait "$group" || status=$?
  kill -- "-$watcher"
  exit "$status" # bash reads run.sh as it goes, and it may have been updated meanwhile
}

end_early() {
  end_group "$1"
  # on a line below the progress bar; the terminal may be gone
  { echo && log "stopped; the same command goes on from here"; } >&2 2>/dev/null || true
}

end_with_run() {
  set +m
  # of a process that has ended and that nobody has waited for, only the name is left
  while kill -0 $$ 2>/dev/null && { [ ! -d /proc/$$ ] || [ -e /proc/$$/exe ]; }; do sleep 0.3; done
  end_group "$1"
}

# Ask the processes of the group $1 to end; kill those that have not after 0.6 s, which costs a run the item at hand.
end_group() {
  local i
  kill -- "-$1" 2>/dev/null || return 0
  for ((i = 0; i < 6; i++)); do
    sleep 0.1
    kill -0 -- "-$1" 2>/dev/null || return 0
  done
  kill -KILL -- "-$1" 2>/dev/null || true
}

run_recipe() {
  parse_options "$@"
  local from to
  from=$(stage_number "${first:-0}")
  to=$(stage_number "${last:-$((${#stages[@]} - 1))}")
  [ "$from" -le "$to" ] || die "--stop-stage ${stages[to]}: comes before --stage ${stages[from]}; stages: $(stage_list)"
  out=${out:-$repo/runs/$recipe}
  [[ $out = /* ]] || out=$PWD/$out # a leading dash would be an option of mkdir
  [ ! -f "$conf/../plan.yaml" ] || plan check
  ! declare -F recipe_check >/dev/null || recipe_check
  mkdir -p "$out"
  out=$(cd "$out" && pwd)
  lock_run
  user_dir=$(python -c 'import fairseq_ext, os; print(os.path.dirname(fairseq_ext.__file__))') ||
    die "no fairseq_ext in $(command -v python); run 'make env' in the checkout, or activate your environment"
  export recipe repo conf out user_dir started run_pid=$$
  supervise "$from" "$to"
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

# Add a command of fairseq-ext to those that `run_lines` runs.
line() { lines+=("${*@Q}"); }

# Run the commands added since the last time, $1 side by side (default: $jobs); one process imports fairseq for all.
run_lines() {
  [ ${#lines[@]} -gt 0 ] || return 0
  printf '%s\n' "${lines[@]}" | python "$repo/tools/batch.py" --jobs "${1:-$jobs}" || die "a step failed; see above"
  lines=()
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
  # the inner quotes keep an & in the path from standing for what is replaced
  local check=(python "$repo/tools/check_data.py" --sample-rate-hz "$@" --quiet)
  "${check[@]}" "${sound[@]/#/"$out/manifests/"}" >"$found" ||
    { cat "$found" && die "the manifests have errors; fix the rows listed in the table"; }
  [ ${#controls[@]} = 0 ] || "${check[@]}" --allow-shared-speakers "${controls[@]/#/"$out/manifests/"}" >>"$found" ||
    { cat "$found" && die "the manifests of the control have errors; fix the rows listed in the table"; }
  mv "$found" "$out/check.txt"
  log "the manifests have no errors; the tables: $out/check.txt"
}

list_partitions() { (cd "$out/manifests" && find . -mindepth 2 -name train.tsv | sed 's,^\./,,; s,/train.tsv$,,' | sort); }
