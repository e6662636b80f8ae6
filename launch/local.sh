#!/usr/bin/env bash
# Several processes of one program on this machine, as on several hosts. launch/local.sh --help teaches it.
set -euo pipefail

help() {
    cat <<'TEXT'
Usage: launch/local.sh --processes N [--devices D | --gpus G] [--grace 30] [--dry-run] -- COMMAND [argument …]

  launch/local.sh --processes 2 --devices 4 -- jaxtrunc run configs/sst2_marker.yaml --out-path runs/two
  launch/local.sh --processes 2 --gpus 8 -- jaxtrunc doctor

Starts COMMAND N times with JAX_COORDINATOR_ADDRESS (a free port here), JAX_NUM_PROCESSES and JAX_PROCESS_ID set.

  --processes N   how many processes
  --devices D     virtual CPU devices for each (JAX_PLATFORMS=cpu)
  --gpus G        GPUs of this machine, dealt out evenly; N must divide G
  --grace S       seconds the others have to stop once one has failed: half of them by themselves, then TERM, then KILL;
                  Ctrl-C sends TERM at once
  --dry-run       print the commands and do nothing

Every line of output is headed by the number of its process. The exit code is the worst of all: 1 (failed) before 2 (wrong
input) before 3 (interrupted, or killed by a signal: --resume continues) before 0.
TEXT
}

fail() {
    printf 'local.sh: error: %s\n' "$1" >&2
    exit 2
}

say() { printf 'local.sh: %s\n' "$1" >&2; }

prefix() {
    local line
    while IFS= read -r line || [[ -n "$line" ]]; do printf '[%s] %s\n' "$1" "$line"; done
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# What process $1 finds in its environment, into the array `environment`.
settle() {
    environment=("JAX_COORDINATOR_ADDRESS=127.0.0.1:$port" "JAX_NUM_PROCESSES=$processes" "JAX_PROCESS_ID=$1")
    if [[ -n "$devices" ]]; then
        environment+=("JAX_PLATFORMS=cpu" "XLA_FLAGS=${XLA_FLAGS:+$XLA_FLAGS }--xla_force_host_platform_device_count=$devices")
    elif [[ -n "$gpus" ]]; then
        local share=$((gpus / processes))
        environment+=("CUDA_VISIBLE_DEVICES=$(seq -s, $(($1 * share)) $(($1 * share + share - 1)))")
    fi
}

start() {
    local out err
    settle "$1"
    exec {out}> >(trap '' INT TERM; prefix "$1")
    readers+=("$!")
    exec {err}> >(trap '' INT TERM; prefix "$1" >&2)
    readers+=("$!")
    env "${environment[@]}" "${command[@]}" >&"$out" 2>&"$err" {out}>&- {err}>&- &
    pids+=("$!")
    exec {out}>&- {err}>&-
}

# Every process with whatever it started itself.
kill_groups() {
    local pid
    for pid in "${pids[@]}"; do kill -KILL -- "-$pid" 2>/dev/null || true; done
}

# TERM to all that still run, after $1 seconds in which they may stop by themselves and say why; KILL after the grace period.
stop_all() {
    [[ -z "$killer" ]] || return 0
    (
        trap 'kill "$!" && exit' TERM
        sleep "$1" &
        wait "$!"
        kill -TERM "${pids[@]}" 2>/dev/null || true
        sleep "$((grace - $1))" &
        wait "$!"
        kill_groups
    ) &
    killer=$!
}

# A code of this process as one of ours: whoever was killed by a signal can be resumed.
meaning() {
    case "$1" in
        0 | 1 | 2 | 3) echo "$1" ;;
        12[67]) echo 1 ;;
        *) [[ $1 -gt 128 ]] && echo 3 || echo 1 ;;
    esac
}

# Wait for every process; the first that fails takes the others with it. Sets `worst`.
watch() {
    local left=("${!pids[@]}") still id code
    while [[ ${#left[@]} -gt 0 ]]; do
        still=()
        for id in "${left[@]}"; do
            if kill -0 "${pids[id]}" 2>/dev/null; then
                still+=("$id")
                continue
            fi
            code=0
            wait "${pids[id]}" || code=$?
            note "$id" "$code"
        done
        left=("${still[@]}")
        sleep 0.1 &
        wait "$!" || true # unlike a sleep in front, a wait lets Ctrl-C through
    done
}

note() {
    local rank=(0 3 2 1) meant
    meant="$(meaning "$2")"
    [[ ${rank[meant]} -le ${rank[worst]} ]] || worst=$meant
    if [[ $2 -ne 0 && -z "$killer" ]]; then
        say "process $1 ended with code $2; the others have $grace s to stop"
        stop_all $((grace / 2))
    fi
}

processes='' devices='' gpus='' grace=30 dry_run=no
while [[ $# -gt 0 ]]; do
    case "$1" in
        --help | -h) help && exit 0 ;;
        --dry-run) dry_run=yes && shift ;;
        --processes | --devices | --gpus | --grace)
            [[ "${2:-}" =~ ^[0-9]+$ ]] || fail "$1: expected a whole number after it, found '${2:-}'"
            printf -v "${1#--}" %s "$2"
            shift 2
            ;;
        --) shift && break ;;
        *) fail "unknown option '$1'; the command goes after --, and launch/local.sh --help shows how" ;;
    esac
done
command=("$@")
[[ ${BASH_VERSINFO[0]} -ge 5 ]] || fail "bash 5 or newer is needed, this is $BASH_VERSION"
[[ -n "$processes" && "$processes" -ge 1 ]] || fail "--processes: expected at least 1; launch/local.sh --help shows how"
[[ ${#command[@]} -ge 1 ]] || fail "expected -- and a command; launch/local.sh --help shows how"
[[ -z "$devices" || -z "$gpus" ]] || fail "--devices and --gpus exclude each other"
[[ -z "$gpus" || $((gpus % processes)) -eq 0 ]] || fail "--gpus: $gpus GPUs cannot be dealt out evenly to $processes processes"

port="$(free_port)"
environment=() pids=() readers=() killer='' worst=0
if [[ "$dry_run" == yes ]]; then
    for ((id = 0; id < processes; id++)); do
        settle "$id"
        printf '%q ' env "${environment[@]}" "${command[@]}"
        echo
    done
    exit 0
fi

set -m # each process in a group of its own: Ctrl-C reaches this script alone, which passes it on as TERM
trap 'stop_all 0' INT TERM
for ((id = 0; id < processes; id++)); do start "$id"; done
watch
[[ -z "$killer" ]] || kill "$killer" 2>/dev/null || true
kill_groups
wait "${readers[@]}" 2>/dev/null || true
exit "$worst"
