"""Small task files written by the tests, a tokenizer made on the spot, and the real tokenizers beside the project."""

import pytest
from toy_task import make_rows, mapping, write_jsonl

from jaxtrunc.data import Task, read_task

CHAT = ("{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}")  # fmt: skip



@pytest.fixture
def toy(tmp_path):
    """A function of task keys and rows: the task, its rows in tmp_path/rows.jsonl."""

    def make(rows: list[dict] | None = None, **changes) -> Task:
        write_jsonl(tmp_path / "rows.jsonl", make_rows() if rows is None else rows)
        return read_task(mapping(**changes), tmp_path)

    return make


@pytest.fixture(scope="session")
def plain_tokenizer():
    """Byte-level BPE without a chat template that knows ` negative` and ` positive` as whole tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<pad>", "<eos>"], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    inner.train_from_iterator(["Text: a plain text. negative positive Answer: user assistant:"] * 50, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", eos_token="<eos>")


@pytest.fixture(scope="session")
def chat_tokenizer(plain_tokenizer):
    """The same tokenizer with a chat template."""
    import copy

    tokenizer = copy.deepcopy(plain_tokenizer)
    tokenizer.chat_template = CHAT
    return tokenizer


@pytest.fixture(scope="session")
def real_tokenizer(shared_data):
    """A function from `qwen`, `llama3`, `gpt2` or `stories260k` to the real tokenizer."""
    from transformers import AutoTokenizer

    def load(name: str):
        folder = shared_data / ("models" if name == "stories260k" else "tokenizers") / name
        return AutoTokenizer.from_pretrained(folder)

    return load
