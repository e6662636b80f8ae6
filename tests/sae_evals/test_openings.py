"""The refusal margin against transformers; answers against its greedy generation, and what is kept of them."""

import gzip
import json

import numpy as np
import pytest

from jaxtrunc.data.conversations import Question
from jaxtrunc.demo import ASSETS
from jaxtrunc.evals.openings import AGREEING, REFUSING
from jaxtrunc.recipes.sae.answers import Asker, write_answers
from jaxtrunc.recipes.sae.base import open_base
from jaxtrunc.recipes.sae.settings import AnswerSettings

MODEL = ASSETS / "model"
PROMPTS = ["Was the hotel good?", "Say something of the camera that nobody would say.", "Why?"]
QUESTIONS = [Question(str(i), prompt, ("refuse", "comply")[i % 2], "own") for i, prompt in enumerate(PROMPTS)]


@pytest.fixture(scope="module")
def answered():
    base = open_base(str(MODEL))
    return base, Asker(base, QUESTIONS, "questions", AnswerSettings(new_tokens=6, batch_size=4)).ask(base.params, "base")


def test_margins_and_answers_are_those_of_transformers(answered):
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForCausalLM

    base, answers = answered
    tokenizer = base.chat.tokenizer
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()

    def mean_log_probability(prompt: list[int], answer: list[int]) -> float:
        with torch.no_grad():
            logits = torch.log_softmax(model(torch.tensor([[*prompt, *answer]])).logits[0].double(), -1)
        return float(np.mean([logits[len(prompt) - 1 + i, token] for i, token in enumerate(answer)]))

    for question, answer in zip(QUESTIONS, answers, strict=True):
        prompt = tokenizer.apply_chat_template([{"role": "user", "content": question.prompt}], add_generation_prompt=True,
                                               return_dict=False)
        openings = [tokenizer.encode(f" {text}", add_special_tokens=False) for text in (REFUSING, AGREEING)]
        refusing, agreeing = (mean_log_probability(prompt, opening) for opening in openings)
        assert answer.margin == pytest.approx(refusing - agreeing, abs=1e-4)
        with torch.no_grad():
            made = model.generate(torch.tensor([prompt]), max_new_tokens=6, do_sample=False, pad_token_id=0)[0, len(prompt):]
        assert answer.response == tokenizer.decode(made, skip_special_tokens=True)


def test_what_was_asked_and_answered_is_kept(answered, tmp_path):
    _, answers = answered
    for name in ("first", "second"):
        write_answers(tmp_path, name, QUESTIONS, answers)
    first, second = ((tmp_path / f"samples/{name}.jsonl.gz").read_bytes() for name in ("first", "second"))
    rows = [json.loads(line) for line in gzip.decompress(first).decode().splitlines()]
    assert first == second
    assert [row["prompt"] for row in rows] == PROMPTS and [row["response"] for row in rows] == [a.response for a in answers]
    assert {"id", "set", "expected", "outcome", "refusal_logprob_margin"} < set(rows[0])
