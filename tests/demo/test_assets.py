"""What the package ships: the files are those the generator makes, and the base model is one."""

import gzip
import json

import numpy as np
import pytest

from jaxtrunc.config import read_config as read_yaml
from jaxtrunc.data import Prompter, load_task, read_task
from jaxtrunc.demo import ASSETS
from jaxtrunc.demo.benchmark import benchmark_rows
from jaxtrunc.demo.build import ROWS_SEED
from jaxtrunc.models import load_tokenizer, open_model


def test_the_rows_are_those_the_generator_makes():
    with gzip.open(ASSETS / "rows.jsonl.gz", "rt") as file:
        assert [json.loads(line) for line in file] == list(benchmark_rows(ROWS_SEED))


def test_the_base_model_is_small_and_fits_its_tokenizer():
    source, tokenizer = open_model(ASSETS / "model"), load_tokenizer(ASSETS / "model")
    assert source.cfg.family == "qwen2" and source.cfg.vocab_size == len(tokenizer)
    assert sum(file.stat().st_size for file in (ASSETS / "model").iterdir()) < 5_000_000


def test_config_task_and_prompts():
    config = read_yaml(ASSETS / "demo.yaml")
    assert (config.base_model, config.task, config.train.scope) == ("model", "task.yaml", "linear")
    task = read_task(ASSETS / "task.yaml")
    data = load_task(task)
    prompter = Prompter(task, load_tokenizer(ASSETS / "model"))
    assert len(set(prompter.label_ids)) == 2
    lengths = [len(encoded.input_ids) for encoded in prompter.encode(data.examples["test"])]
    assert max(lengths) <= 64 and np.mean(lengths) < 40, "prompts must stay short for the demo to stay quick"
    prompt = prompter.prompt(data.examples["test"][0])
    assert prompt.startswith("<|user|>Is the sentiment") and prompt.endswith("<|endoftext|><|assistant|>")


def test_the_base_model_answers_in_torch():
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForCausalLM

    tokenizer = load_tokenizer(ASSETS / "model")
    model = AutoModelForCausalLM.from_pretrained(ASSETS / "model").eval()
    question = [{"role": "user", "content": "Is this word negative or positive?\nWord: lovely"}]
    ids = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=False)
    with torch.no_grad():
        answer = model.generate(ids, max_new_tokens=2, do_sample=False)[0, ids.shape[1]:]
    assert tokenizer.decode(answer) == " positive<|endoftext|>"
