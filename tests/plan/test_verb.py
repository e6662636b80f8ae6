"""`jaxtrunc plan` as typed: both forms, exit codes, what is printed, and that no device is touched."""

import subprocess
import sys

import pytest
import yaml

TASK = {"name": "t", "source": {"path": "no-such-rows.jsonl"}, "text": {"Sentence": "text"}, "label": "label",
        "classes": ["a", "b"], "instruction": "a or b?", "max_text_tokens": 100}

ROOMY = ("--device-memory", "80GiB", "--host-memory", "64GiB")


@pytest.fixture
def config(half_b, tmp_path):
    """A run config beside its task file; the rows of the task do not exist."""
    (tmp_path / "task.yaml").write_text(yaml.safe_dump(TASK))
    values = {"name": "mine", "base_model": str(half_b), "task": "task.yaml", "mesh": {"fsdp": 2, "data": 2},
              "decompose": {"include": ["q_proj"]}, "train": {"batch_size": 8}}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(values))
    return tmp_path / "run.yaml"


def test_it_fits(program, half_b):
    code, out, errors = program("plan", "--base-model", half_b, *ROOMY)
    assert (code, errors) == (0, []) and out.splitlines()[-1] == "fits" and "\x1b" not in out
    rows = [[cell.strip() for cell in line.strip("│┃ ").split("│")] for line in out.splitlines() if "│" in line]
    assert ["896 × 4,864", "48", "209,190,912", "48"] in rows and ["151,936 × 896", "1", "136,134,656"] in rows
    assert [row[0] for row in rows[-4:]] == ["fine-tuning", "decomposition", "sweep", "export"]
    assert "494,032,768 parameters" in out and "1.47 TFLOP" in out and "942 MiB on disk" in out


def test_it_does_not_fit(program, half_b):
    arguments = ("plan", "--base-model", half_b, "--device-memory", "16GiB", "--host-memory", "64GiB")
    code, out, errors = program(*arguments)
    assert code == 1 and len(errors) == 1 and "fine-tuning needs" in errors[0]
    assert errors[0].endswith("; --mesh data=1,fsdp=4,tensor=1 would do")
    assert "does not fit: fine-tuning needs" in out and "│ fine-tuning " in out
    assert program(*arguments, "--mesh", "data=1,fsdp=2,tensor=4")[0] == 0


def test_a_config_says_mesh_selection_and_length(program, config):
    code, out, errors = program("plan", config, *ROOMY)
    assert (code, errors) == (0, []) and "mesh data=2,fsdp=2,tensor=1" in out
    assert "prompts of 136 tokens (max_text_tokens of the task: texts of 100" in out  # and what surrounds the text
    assert next(line for line in out.splitlines() if "896 × 896" in line).split("│")[4].strip() == "24"
    assert "896 × 4,864      │ 48    │ 209,190,912 │            │" in out
    longer = program("plan", config, *ROOMY, "--tokens", "4096")
    assert longer[0] == 1 and "prompts of 4096 tokens, as given" in longer[1]


def test_a_config_with_a_model_plans_no_training(program, config, half_b):
    code, out, _ = program("plan", config, f"model={half_b}", "-i", "k_proj", "--device-memory", "8GiB", "--host-memory", "64GiB")
    assert code == 0 and "fine-tuning" not in out
    assert next(line for line in out.splitlines() if "896 × 128" in line).split("│")[4].strip() == "24"


@pytest.mark.parametrize(("arguments", "words"), [
    (["--mesh", "data=1,fdsp=8"], "--mesh: expected sizes"), (["--mesh", "fsdp=3"], "batch_size 32 is not a multiple of 3"),
    (["--device-memory", "lots"], "--device-memory: expected a size"), (["--tokens", "0"], "--tokens: expected at least 1"),
    (["-i", "nothing_like_it"], "matches no matrix"),
])
def test_wrong_input(program, half_b, arguments, words):
    code, out, errors = program("plan", "--base-model", half_b, *arguments)
    assert code == 2 and len(errors) == 1 and words in errors[0] and not out


def test_one_of_config_and_base_model(program, config, half_b):
    for arguments, found in (([], "neither"), ([config, "--base-model", half_b], "both")):
        code, out, errors = program("plan", *arguments)
        assert code == 2 and len(errors) == 1 and f"found {found}" in errors[0] and not out


def test_cpu_devices_share_the_memory_of_the_host(program, half_b):
    fits = program("plan", "--base-model", half_b, "--mesh", "fsdp=8", "--host-memory", "1TiB")
    assert fits[0] == 0 and "CPU, in the memory of the host" in fits[1] and "peak of each device" not in fits[1]
    short = program("plan", "--base-model", half_b, "--mesh", "fsdp=8", "--host-memory", "2GiB")
    assert short[0] == 1 and "--device-memory" in short[1]


def test_no_device_is_touched_where_its_memory_is_given(half_b):
    code = ("import sys; from jaxtrunc.cli import main; main(sys.argv[1:]); "
            "from jax._src import xla_bridge; print(xla_bridge.backends_are_initialized())")
    arguments = ["plan", "--base-model", str(half_b), "--mesh", "fsdp=8,tensor=4", *ROOMY]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == ["fits", "False"]
