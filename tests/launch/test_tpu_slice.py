"""launch/tpu.sh against a stand-in gcloud: what is called, what arrives, what is never done unasked."""

import json
import time

import pytest

SLICE = ("mine", "--zone", "us-west4-a")
KIND = ("--type", "v5litepod-16", "--version", "v2-alpha-tpuv5-lite")
WATCH = (*SLICE, *KIND, "--spot", "--bucket", "a-bucket", "--run-id", "first", "--poll", "0")
HOSTILE = ["my config.yaml", "name=$(touch pwned)", "train.x='`id`'", 'a="b \\ c"', "n=two\nlines", "-x", "ü;&|<>*?", ""]
ACTIVE, READY = {"out": "ACTIVE\n"}, {"out": "READY\n"}
NOT_FOUND = {"err": "ERROR: NOT_FOUND: no such resource\n", "code": 1}


def tpu(standins, verb, *arguments, **more):
    return standins.run("launch/tpu.sh", verb, *arguments, **more)


def slice_is(standins, *requests, nodes=(READY,), states=({"out": "running\n"},)):
    """States of the request, of the node, and of the run, one after the other; setting up succeeds in silence."""
    standins.answer(("queued-resources describe", list(requests)), ("tpu-vm describe", list(nodes)),
                    ("host.sh state", list(states)), ("tpu-vm ssh", [{}]), ("tpu-vm scp", [{}]))


def test_create_asks_for_what_was_named_and_waits(standins):
    slice_is(standins, {"out": "WAITING_FOR_RESOURCES\n"}, ACTIVE, nodes=[{"out": "CREATING\n"}, READY])
    done = tpu(standins, "create", *SLICE, *KIND, "--spot", "--project", "p", "--poll", "0")
    assert done.returncode == 0, done.stderr
    [request] = standins.calls("queued-resources create")
    assert {"mine", "--node-id=mine", "--accelerator-type=v5litepod-16", "--runtime-version=v2-alpha-tpuv5-lite", "--spot",
            "--zone=us-west4-a", "--project=p"} <= set(request)
    assert "is ready" in done.stderr and len(standins.calls("tpu-vm describe")) == 2


def test_a_request_that_is_refused_is_one_sentence(standins):
    slice_is(standins, {"out": "FAILED\n"})
    done = tpu(standins, "create", *SLICE, *KIND)
    assert done.returncode == 1 and "was not granted" in done.stderr and done.stderr.count("error:") == 1


def test_setup_copies_the_checkout_and_prepares_every_worker(standins):
    standins.answer(("./tpu_setup.sh", [{}]), ("host.sh mount", [{}]))  # the copy itself is played
    done = tpu(standins, "setup", *SLICE, "--bucket", "a-bucket")
    assert done.returncode == 0, done.stderr
    assert (standins.remote / "jaxtrunc.tar.gz").stat().st_size > 10_000
    assert [call[-1] for call in standins.calls("--worker=all")] == ["--zone=us-west4-a"] * 3
    assert standins.calls("cd jaxtrunc && launch/host.sh mount a-bucket")


@pytest.mark.parametrize("step", ["scp", "tpu_setup.sh", "host.sh mount"])
def test_setup_says_which_step_failed(standins, step):
    standins.answer((step, [{"code": 255}]), ("tpu-vm", [{}]))
    done = tpu(standins, "setup", *SLICE, "--bucket", "b")
    assert done.returncode == 1 and done.stderr.startswith("tpu.sh: error: ") and done.stderr.count("\n") == 1


def test_what_users_type_arrives_verbatim(standins):
    checkout = standins.checkout()
    done = tpu(standins, "run", *SLICE, "--run-id", "first", "--resume", "--", *HOSTILE)
    assert done.returncode == 0, done.stderr
    for _ in range(100):
        if (checkout / ".launch/first.code").exists():
            break
        time.sleep(0.05)
    [call] = standins.calls("--out-path", "runs/first")[-1:]
    assert call == ["jaxtrunc", "run", *HOSTILE, "--resume", "--out-path", "runs/first"]
    assert not list(standins.folder.rglob("pwned"))
    assert "code 0" in tpu(standins, "state", *SLICE, "--run-id", "first").stdout


def test_fetch_copies_and_overwrites_nothing(standins, tmp_path):
    run = standins.checkout() / "runs/first"
    run.mkdir(parents=True)
    (run / "results.json").write_text("{}")
    target = tmp_path / "here it is"
    fetch = ("fetch", *SLICE, "--run-id", "first", "--to", str(target))
    assert tpu(standins, *fetch).returncode == 0
    assert (target / "first/results.json").read_text() == "{}"
    again = tpu(standins, *fetch)
    assert again.returncode == 2 and "nothing is overwritten" in again.stderr


@pytest.mark.parametrize(("typed", "flags", "deleted"), [("mine\n", (), True), ("y\n", (), False), ("", (), False),
                                                         ("", ("--yes",), True), ("mine\n", ("--dry-run",), False)])
def test_delete_asks(standins, typed, flags, deleted):
    done = tpu(standins, "delete", *SLICE, *flags, typed=typed)
    assert bool(standins.calls("queued-resources delete")) == deleted
    assert done.returncode == (0 if deleted or "--dry-run" in flags else 1)


@pytest.mark.parametrize("arguments", [
    ("create", *SLICE, *KIND), ("setup", *SLICE, "--bucket", "b"), ("run", *SLICE, "--run-id", "x", "--", *HOSTILE),
    ("state", *SLICE, "--run-id", "x"), ("logs", *SLICE, "--run-id", "x"), ("stop", *SLICE, "--run-id", "x"),
    ("fetch", *SLICE, "--run-id", "x", "--to", "nowhere"), ("delete", *SLICE, "--yes"), ("babysit", *WATCH, "--", "c.yaml")])
def test_dry_run_prints_and_does_nothing(standins, arguments):
    verb, *rest = arguments
    done = tpu(standins, verb, *rest[:3], "--dry-run", *rest[3:])
    assert done.returncode == 0 and done.stdout.startswith("gcloud compute tpus "), done.stderr
    assert standins.calls() == []


@pytest.mark.parametrize(("arguments", "says"), [
    (("creat", *SLICE), "unknown command 'creat'"),
    (("run",), "expected the name of a slice"),
    (("run", "--zone"), "found '--zone'"),
    (("create", "mine", *KIND), "--zone is missing"),
    (("create", *SLICE), "--type is missing"),
    (("run", *SLICE, "--", "c.yaml"), "--run-id is missing"),
    (("run", *SLICE, "--run-id", "x"), "expected -- CONFIG.yaml"),
    (("run", *SLICE, "--run-id", "../x", "--", "c"), "--run-id: expected letters"),
    (("run", *SLICE, "c.yaml"), "after --"),
    (("babysit", *SLICE, *KIND, "--run-id", "x", "--", "c"), "--bucket is missing"),
    (("run", *SLICE, "--poll", "a"), "--poll: expected whole seconds")])
def test_wrong_usage_is_one_sentence_and_code_2(standins, arguments, says):
    done = tpu(standins, *arguments)
    assert done.returncode == 2 and says in done.stderr and done.stderr.count("\n") == 1
    assert standins.calls() == []


@pytest.mark.parametrize(("states", "code"), [
    ([{"out": "code 0\ncode 0\n"}], 0), ([{"out": "code 3\ncode 1\n"}], 1), ([{"out": "code 2\ncode 2\n"}], 2)])
def test_babysit_ends_with_the_code_of_the_run(standins, states, code):
    slice_is(standins, ACTIVE, states=[{"out": "none\nnone\n"}, {"out": "running\ncode 3\n"}, *states])
    done = tpu(standins, "babysit", *WATCH, "--", "c.yaml")
    assert done.returncode == code, done.stderr
    assert len(standins.calls("host.sh start")) == 1
    assert not standins.calls("delete") and "costs money" in done.stderr


def test_babysit_creates_a_preempted_slice_again_and_resumes_the_same_run(standins):
    requests = [NOT_FOUND, ACTIVE, ACTIVE, ACTIVE, {"out": "SUSPENDING\n"}, {"out": "SUSPENDED\n"}, ACTIVE]
    slice_is(standins, *requests, states=[{"out": "running\n"}, {"out": "running\n"}, {"out": "code 0\n"}])
    done = tpu(standins, "babysit", *WATCH, "--", *HOSTILE)
    assert done.returncode == 0, done.stderr
    assert len(standins.calls("queued-resources create", "--spot")) == 2
    assert len(standins.calls("queued-resources delete")) == 1  # what the preempted one left
    starts = standins.calls("host.sh start")
    assert len(starts) == 2 and starts[0] == starts[1]
    assert "start first " in " ".join(starts[0]) and "--resume" in " ".join(starts[0])
    assert len(standins.calls("./tpu_setup.sh")) == len(standins.calls("host.sh mount a-bucket")) == 2


@pytest.mark.parametrize("state", ["code 3", "lost", "code 137", "code 134\ncode 3"])
def test_babysit_resumes_an_interrupted_run_a_bounded_number_of_times(standins, state):
    slice_is(standins, ACTIVE, states=[{"out": f"{state}\n"}])
    done = tpu(standins, "babysit", *WATCH, "--tries", "2", "--", "c.yaml")
    assert done.returncode == 3 and "was started 3 times" in done.stderr
    assert len(standins.calls("host.sh start")) == 3 and not standins.calls("delete")


def test_babysit_never_deletes_what_it_cannot_see(standins):
    slice_is(standins, {"err": "network is down", "code": 1})
    done = tpu(standins, "babysit", *WATCH, "--", "c.yaml")
    assert done.returncode == 3 and "did not answer 10 times" in done.stderr
    assert not standins.calls("delete") and not standins.calls("create")


def test_babysit_outlasts_a_failing_ssh(standins):
    failing = {"code": 255}
    slice_is(standins, ACTIVE, states=[*[failing] * 9, {"out": "running\n"}, *[failing] * 9, {"out": "code 0\n"}])
    assert tpu(standins, "babysit", *WATCH, "--", "c.yaml").returncode == 0
    assert not standins.calls("host.sh start")


def test_a_start_that_fails_is_one_try(standins):
    slice_is(standins, ACTIVE, states=[{"out": "none\n"}])
    script = json.loads((standins.folder / "answers.json").read_text())
    script.insert(0, {"words": ["host.sh", "start"], "answers": [{"code": 255}]})
    (standins.folder / "answers.json").write_text(json.dumps(script))
    done = tpu(standins, "babysit", *WATCH, "--tries", "1", "--", "c.yaml")
    assert done.returncode == 3 and len(standins.calls("host.sh start")) == 2
