"""launch/local.sh with real processes of a small program: environment, prefixes, codes, and nothing left behind."""

import os
import signal
import subprocess
import sys
import time

import pytest

LAUNCHER = os.path.join(os.path.dirname(__file__), "..", "..", "launch", "local.sh")
PROGRAM = """
import os, signal, sys, time
me = os.environ["JAX_PROCESS_ID"]
plan = dict(word.split("=") for word in sys.argv[1:])[me]
if plan == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if plan == "save":
    signal.signal(signal.SIGTERM, lambda *_: (print("saved", flush=True), os._exit(3)))
print("up", os.getpid(), flush=True)
if plan == "killed":
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGKILL)
if plan.isdigit():
    sys.exit(int(plan))
time.sleep(30)
"""


def command(tmp_path, *plans, options=("--grace", "1")):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    given = [f"{number}={plan}" for number, plan in enumerate(plans)]
    return ["bash", LAUNCHER, "--processes", str(len(plans)), *options, "--", sys.executable, "-SE", str(program), *given]


def launch(*arguments):
    return subprocess.run(["bash", LAUNCHER, *arguments], capture_output=True, text=True, timeout=30, check=False)


def running(output):
    """Processes of the program, by the numbers they printed, that are still there."""
    pids = [int(line.split()[-1]) for line in output.splitlines() if " up " in line]
    return [pid for pid in pids if os.path.exists(f"/proc/{pid}")]


def test_every_process_learns_its_number_and_every_line_is_prefixed():
    code = "import os, sys; print(*(os.environ[n] for n in sys.argv[1:])); print('a\\n\\nb', end='', file=sys.stderr)"
    names = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID", "JAX_PLATFORMS", "XLA_FLAGS")
    done = launch("--processes", "3", "--devices", "4", "--", sys.executable, "-SE", "-c", code, *names)
    assert done.returncode == 0
    lines = sorted(done.stdout.splitlines())
    addresses = {line.split()[1] for line in lines}
    assert len(addresses) == 1 and addresses.pop().startswith("127.0.0.1:")
    assert [(line.split()[0], line.split()[3]) for line in lines] == [("[0]", "0"), ("[1]", "1"), ("[2]", "2")]
    assert all(" 3 " in line and " cpu " in line and "device_count=4" in line for line in lines)
    assert sorted(done.stderr.splitlines()) == sorted(f"[{n}] {word}" for n in range(3) for word in ("a", "", "b"))


def test_gpus_are_dealt_out():
    done = launch("--processes", "2", "--gpus", "8", "--", "bash", "-c", "echo $CUDA_VISIBLE_DEVICES")
    assert sorted(done.stdout.splitlines()) == ["[0] 0,1,2,3", "[1] 4,5,6,7"]


@pytest.mark.parametrize(("plans", "code"), [(("0", "0"), 0), (("0", "2"), 2), (("3", "1"), 1), (("save", "1"), 1), (("3", "0"), 3),
                                             (("save", "killed"), 3), (("2", "3"), 2), (("deaf", "2"), 2), (("0", "77"), 1)])
def test_the_worst_code_counts_and_nobody_stays(tmp_path, plans, code):
    start = time.monotonic()
    done = subprocess.run(command(tmp_path, *plans), capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == code, done.stderr
    assert time.monotonic() - start < 10 and running(done.stdout) == []
    assert ("saved" in done.stdout) == ("save" in plans)
    assert ("ended with code" in done.stderr) == (set(plans) != {"0"})


@pytest.mark.parametrize(("sent", "plans", "says"), [(signal.SIGINT, ("save", "save"), 2), (signal.SIGTERM, ("save", "deaf"), 1)])
def test_a_stop_reaches_all(tmp_path, sent, plans, says):
    patient = command(tmp_path, *plans, options=("--grace", "5"))  # a busy machine may keep a process waiting for a second
    process = subprocess.Popen(patient, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    ups = [process.stdout.readline() for _ in plans]
    process.send_signal(sent)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 3 and out.count("saved") == says and running("".join(ups)) == []


def test_dry_run_prints_and_does_nothing(tmp_path):
    done = launch("--processes", "2", "--dry-run", "--", "touch", str(tmp_path / "a b"))
    assert done.returncode == 0 and done.stdout.count("JAX_PROCESS_ID=") == 2 and "a\\ b" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("arguments", "says"), [
    (("--", "true"), "--processes: expected"), (("--processes", "two", "--", "true"), "found 'two'"),
    (("--processes", "2"), "a command"), (("--processes", "2", "true"), "unknown option 'true'"),
    (("--processes", "3", "--gpus", "8", "--", "true"), "dealt out evenly"),
    (("--processes", "2", "--gpus", "2", "--devices", "2", "--", "true"), "exclude each other")])
def test_wrong_usage_is_one_sentence(arguments, says):
    done = launch(*arguments)
    assert done.returncode == 2 and says in done.stderr and done.stderr.count("\n") == 1
