#!/usr/bin/env bash
# TPU VMs and pod slices: create, set up, run, watch, fetch, delete. launch/tpu.sh --help teaches it.
set -euo pipefail

help() {
    cat <<'TEXT'
Run jaxtrunc on a TPU VM or a pod slice with gcloud. Every step speaks to all workers of the slice.

  launch/tpu.sh create   NAME --zone ZONE --type v5litepod-16 --version v2-alpha-tpuv5-lite [--spot]
                         ask for a slice (a queued resource of that name) and wait until it is ready
  launch/tpu.sh setup    NAME --zone ZONE [--bucket BUCKET]
                         copy this checkout to ~/jaxtrunc on every worker, run ./tpu_setup.sh there, and mount the bucket as
                         runs/: the hosts of a slice must share the run directory (a single host needs no bucket).
                         Only files that git tracks or does not ignore are copied, and nothing beside the checkout: models/
                         and ../shared/data stay behind. Name base models org/name, and take built-in benchmarks
  launch/tpu.sh run      NAME --zone ZONE --run-id ID [--resume] -- CONFIG.yaml [section.key=value …]
                         start `jaxtrunc run … --out-path runs/ID` on every worker; it goes on when you log out
  launch/tpu.sh state    NAME --zone ZONE --run-id ID          running, lost, or the exit code, of every worker
  launch/tpu.sh logs     NAME --zone ZONE --run-id ID [--worker N]     stream what a worker prints (default worker 0)
  launch/tpu.sh stop     NAME --zone ZONE --run-id ID          store a checkpoint and end; `run --resume` goes on
  launch/tpu.sh fetch    NAME --zone ZONE --run-id ID [--to DIR]       copy runs/ID of worker 0 to DIR/ID (default runs)
  launch/tpu.sh delete   NAME --zone ZONE [--yes]              give the slice back, with all that lies on its disks; asks first
  launch/tpu.sh babysit  NAME --zone ZONE --type … --version … [--spot] --bucket BUCKET --run-id ID [--tries 10] [--poll 60]
                         -- CONFIG.yaml [section.key=value …]
                         all of it: create, set up, run; a preempted slice is created again and the run resumed under the same
                         ID, at most --tries times; ends with the run's exit code and leaves the slice standing

A first session, with a base model and a benchmark that the workers download:

  launch/tpu.sh create  mine --zone us-west4-a --type v5litepod-8 --version v2-alpha-tpuv5-lite --spot
  launch/tpu.sh setup   mine --zone us-west4-a
  launch/tpu.sh run     mine --zone us-west4-a --run-id first -- configs/sst2_marker.yaml \
                          base_model=Qwen/Qwen2.5-0.5B-Instruct task=sst2_marker train.learning_rate=2e-5 mesh.fsdp=8
  launch/tpu.sh logs    mine --zone us-west4-a --run-id first
  launch/tpu.sh fetch   mine --zone us-west4-a --run-id first
  launch/tpu.sh delete  mine --zone us-west4-a

Anywhere: --project PROJECT; --dry-run prints the commands and does nothing. CONFIG.yaml is a path inside the checkout.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 interrupted (`run --resume` or `babysit` goes on). A slice costs money until
`delete`: nothing here deletes one that stands unless you say so.
TEXT
}

fail() {
    printf 'tpu.sh: error: %s\n' "$1" >&2
    exit "${2:-2}"
}

say() { printf 'tpu.sh: %s\n' "$1" >&2; }

# --- gcloud ---------------------------------------------------------------------------------------------------------

gc() {
    local command=(gcloud compute tpus "$@" "--zone=$zone")
    [[ -z "$project" ]] || command+=("--project=$project")
    if [[ "$dry_run" == yes ]]; then
        printf '%q ' "${command[@]}"
        echo
        return
    fi
    "${command[@]}"
}

# One command on workers (all, or a number); every word arrives as it was typed.
on_workers() {
    local workers="$1" words
    shift
    printf -v words '%q ' "$@"
    gc tpu-vm ssh "$name" "--worker=$workers" "--command=cd jaxtrunc && ${words% }"
}

# READY, WAITING, GONE (preempted or failed: only the request is left), NONE, or UNKNOWN (gcloud could not tell).
slice_state() {
    local request node
    if ! request="$(gc queued-resources describe "$name" '--format=value(state.state)' 2>&1)"; then
        [[ "$request" == *NOT_FOUND* ]] && echo NONE || echo UNKNOWN
        return
    fi
    case "$request" in
        ACTIVE) ;;
        SUSPENDED | FAILED) echo GONE && return ;;
        *) echo WAITING && return ;;
    esac
    node="$(gc tpu-vm describe "$name" '--format=value(state)' 2>/dev/null)" || node=
    case "$node" in
        READY) echo READY ;;
        PREEMPTED | TERMINATED) echo GONE ;;
        "") echo UNKNOWN ;;
        *) echo WAITING ;;
    esac
}

# --- verbs ----------------------------------------------------------------------------------------------------------

create() {
    need type version
    local request=(queued-resources create "$name" "--node-id=$name" "--accelerator-type=$type" "--runtime-version=$version")
    [[ "$spot" == no ]] || request+=(--spot)
    gc "${request[@]}" || fail "gcloud could not queue the slice $name; what it said stands above" 1
    [[ "$dry_run" == yes ]] || wait_until_ready
}

wait_until_ready() {
    local state silence=0
    while state="$(slice_state)" && [[ "$state" != READY ]]; do
        case "$state" in
            UNKNOWN) silence=$((silence + 1)) && [[ $silence -lt 10 ]] || fail "gcloud does not tell how $name stands" 1 ;;
            GONE | NONE) fail "the request for $name was not granted (state $state); try another --zone, or delete it and ask again" 1 ;;
        esac
        say "$name: $state"
        sleep "$poll"
    done
    say "$name is ready"
}

# The tracked files of this checkout and your own new ones, without what git ignores, as a tar file.
pack() {
    git -C "$root" ls-files -z --cached --others --exclude-standard |
        while IFS= read -r -d '' file; do
            [[ ! -e "$root/$file" ]] || printf '%s\0' "$file"
        done | tar -C "$root" --null -T - -czf "$1"
}

setup() {
    local packed=jaxtrunc.tar.gz
    if [[ "$dry_run" == no ]]; then
        packed="$(mktemp -d)/jaxtrunc.tar.gz"
        pack "$packed" || fail "this checkout could not be packed; launch/tpu.sh needs git and a clone of jaxtrunc" 1
    fi
    gc tpu-vm scp "$packed" "$name:jaxtrunc.tar.gz" --worker=all || fail "the checkout could not be copied to $name" 1
    [[ "$dry_run" == yes ]] || rm -r "${packed%/*}"
    gc tpu-vm ssh "$name" --worker=all \
        '--command=mkdir -p jaxtrunc && tar -xzf jaxtrunc.tar.gz -C jaxtrunc && cd jaxtrunc && ./tpu_setup.sh' ||
        fail "./tpu_setup.sh did not end well on every worker of $name; what it said stands above" 1
    [[ -z "$bucket" ]] || on_workers all launch/host.sh mount "$bucket" || fail "the bucket $bucket could not be mounted" 1
}

run() {
    need run_id
    [[ ${#rest[@]} -ge 1 ]] || fail "run: expected -- CONFIG.yaml [section.key=value …] at the end"
    local words=("${rest[@]}")
    [[ "$resume" == no ]] || words+=(--resume)
    on_workers all launch/host.sh start "$run_id" "${words[@]}" || fail "the run could not be started on every worker of $name" 1
}

fetch() {
    need run_id
    [[ ! -e "$to/$run_id" ]] || fail "$to/$run_id is there already; nothing is overwritten, choose another --to"
    [[ "$dry_run" == yes ]] || mkdir -p "$to"
    gc tpu-vm scp --recurse "$name:jaxtrunc/runs/$run_id" "$to" --worker=0 || fail "runs/$run_id could not be fetched from $name" 1
}

delete() {
    if [[ "$yes" == no && "$dry_run" == no ]]; then
        local answer=
        printf 'Delete the slice %s in %s with everything on its disks? Type its name to confirm: ' "$name" "$zone" >&2
        read -r answer || true
        [[ "$answer" == "$name" ]] || fail "$name was not deleted" 1
    fi
    gc queued-resources delete "$name" --force --quiet || fail "gcloud could not delete $name; look whether it still costs money" 1
}

# The run on all workers as one word: none, running, unreachable, or an exit code. A failure outranks the 3 of the processes
# that stopped because of it; a process that was killed (code above 128) or lost with its host can be resumed.
job_state() {
    local words
    words="$(on_workers all launch/host.sh state "$run_id" 2>/dev/null)" || { echo unreachable && return; }
    seen() { grep -qwE "$1" <<<"$words"; }
    if seen running; then
        echo running
    elif seen 'code (1|126|127)'; then
        echo 1
    elif seen 'code 2'; then
        echo 2
    elif seen 'lost|code ([3-9]|[1-9][0-9]+)'; then
        echo 3
    elif seen none; then
        echo none
    else
        echo 0
    fi
}

# Whatever state was found, a slice that runs the job from where it stopped. In a subshell, so that a failure is one try.
bring_up() (
    if [[ "$1" == GONE ]]; then
        say "removing the request that the preempted slice $name left"
        gc queued-resources delete "$name" --force --quiet || return 1
    fi
    [[ "$1" != GONE && "$1" != NONE ]] || create
    setup
    run
)

babysit() {
    need type version bucket run_id
    resume=yes
    if [[ "$dry_run" == yes ]]; then
        bring_up NONE
        echo "# then, every $poll s, launch/host.sh state $run_id on all workers; at most $tries times again from the top"
        return
    fi
    local state starts=0 silence=0
    while :; do
        state="$(slice_state)"
        [[ "$state" != READY ]] || state="$(job_state)"
        case "$state" in
            running | WAITING) silence=0 ;;
            [012]) finish "$state" ;;
            UNKNOWN | unreachable)
                silence=$((silence + 1))
                [[ $silence -lt 10 ]] || fail "$name did not answer $silence times in a row ($state); babysit again when it does" 3
                ;;
            *)
                [[ $starts -le $tries ]] || fail "run $run_id was started $starts times and is not done; look at the log, then babysit again" 3
                [[ $starts -eq 0 ]] || say "run $run_id stopped ($state); start $((starts + 1)) resumes it"
                starts=$((starts + 1))
                bring_up "$state" || say "that start did not work"
                ;;
        esac
        sleep "$poll"
    done
}

finish() {
    say "run $run_id ended with code $1; $name still stands and costs money: fetch, then delete"
    exit "$1"
}

# --- command line ---------------------------------------------------------------------------------------------------

# Fail unless every option named is given.
need() {
    local option
    for option in "$@"; do
        [[ -n "${!option}" ]] || fail "$verb: --${option//_/-} is missing; launch/tpu.sh --help shows how"
    done
}

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
verb="${1:---help}"
name="${2:-}"
case "$verb" in
    --help | -h) help && exit 0 ;;
    create | setup | run | state | logs | stop | fetch | delete | babysit) ;;
    *) fail "unknown command '$verb'; known: create, setup, run, state, logs, stop, fetch, delete, babysit" ;;
esac
[[ "$name" =~ ^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$ ]] || fail "$verb: expected the name of a slice (a-z, 0-9, -), found '$name'"
shift 2

zone='' project='' type='' version='' bucket='' run_id='' to=runs worker=0 tries=10 poll=60
spot=no resume=no yes=no dry_run=no rest=()
while [[ $# -gt 0 ]]; do
    case "$1" in
        --spot | --resume | --yes | --dry-run)
            option="${1#--}"
            printf -v "${option//-/_}" yes
            shift
            ;;
        --zone | --project | --type | --version | --bucket | --run-id | --to | --worker | --tries | --poll)
            [[ $# -ge 2 ]] || fail "$1: expected a value after it"
            option="${1#--}"
            printf -v "${option//-/_}" %s "$2"
            shift 2
            ;;
        --)
            shift
            rest=("$@")
            break
            ;;
        *) fail "unknown option '$1'; what jaxtrunc is to get goes after --" ;;
    esac
done
need zone
[[ -z "$run_id" || "$run_id" =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] || fail "--run-id: expected letters, digits, '.', '_' and '-', found '$run_id'"
[[ "$tries" =~ ^[0-9]+$ ]] || fail "--tries: expected a whole number, found '$tries'"
[[ "$poll" =~ ^[0-9]+$ ]] || fail "--poll: expected whole seconds, found '$poll'"
[[ "$dry_run" == yes ]] || command -v gcloud >/dev/null || fail "gcloud is not on the PATH; install the Google Cloud CLI and log in"

case "$verb" in
    state) need run_id && on_workers all launch/host.sh state "$run_id" ;;
    logs) need run_id && on_workers "$worker" launch/host.sh log "$run_id" ;;
    stop) need run_id && on_workers all launch/host.sh stop "$run_id" ;;
    *) "$verb" ;;
esac
