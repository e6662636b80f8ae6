"""From task rows to a scored split, through the real task reader and tokenizer."""

import json

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from jaxtrunc.core.errors import InputError
from jaxtrunc.data import Prompter, load_task, read_task
from jaxtrunc.evals import build_eval_set

WORDS = ["film", "good", "bad", "fine", "zq", "is", "this", "text", ":", "Answer", "negative", "positive", "very", "Text",
         ".", "?"]


@pytest.fixture(scope="module")
def tokenizer():
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, unk_token="?", eos_token=".")


@pytest.fixture
def task(tmp_path):
    texts = ("bad film", "good film")
    rows = [{"id": f"{split}-{i}", "text": texts[i % 2], "label": i % 2, "zq": i % 3 % 2, "split": split}
            for split, n in (("train", 60), ("test", 24)) for i in range(n)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"name": "toy", "source": {"path": "rows.jsonl"}, "splits": {"train": "train", "test": "test"},
            "label": "label", "text": {"Text": "text"},
            "classes": ["negative", "positive"], "label_words": [" negative", " positive"],
            "attributes": ["zq"], "aligned": {"zq": "positive"}, "instruction": "is this good ?"}


def eval_set(task, directory, tokenizer, **change):
    data = load_task(read_task(task | change, directory))
    return build_eval_set(data, "test", Prompter(data.task, tokenizer), 4)


def test_rows_in_order_with_truth(task, tmp_path, tokenizer):
    rows = eval_set(task, tmp_path, tokenizer)
    assert len(rows) == 24 and [each.id for each in rows.encoded[:2]] == ["test-0", "test-1"]
    np.testing.assert_array_equal(rows.truth.labels, np.arange(24) % 2)
    np.testing.assert_array_equal(rows.truth.attributes["zq"], np.arange(24) % 3 % 2)
    np.testing.assert_array_equal(rows.truth.directions["zq"], [-1, 1])
    assert rows.truth.training_counts["zq"].sum() == 60 and rows.truth.primary == "zq"
    packed = [tokens for batch in rows.batches for tokens in batch.tokens[batch.segments >= 0].tolist()]
    assert sorted(packed) == sorted(token for each in rows.encoded for token in each.input_ids)


def test_likelihood_batches_hold_every_label_string(task, tmp_path, tokenizer):
    words = [" very negative", " positive"]
    rows = eval_set(task, tmp_path, tokenizer, scoring="likelihood", label_words=words)
    assert [len(ids) for ids in rows.continuations] == [2, 1]
    assert sum((batch.rows >= 0).sum() for batch in rows.batches) == 48


def test_a_two_token_label_word_is_refused(task, tmp_path, tokenizer):
    with pytest.raises(InputError, match=r"very negative.*likelihood"):
        eval_set(task, tmp_path, tokenizer, label_words=[" very negative", " positive"])
