"""What training reads: right targets, a deterministic order, and exact resumption at any batch."""

import numpy as np
import pytest
from toy_task import make_rows

from jaxtrunc.core.errors import InputError
from jaxtrunc.data import Prompter, TrainStream, load_task, text_batches


@pytest.fixture
def stream(toy, chat_tokenizer):
    rows = [row | {"text": "a plain text " * (1 + i % 7)} for i, row in enumerate(make_rows(90))]
    task = toy(rows)
    examples = [example.for_training() for example in load_task(task).examples["test"]]
    prompter = Prompter(task, chat_tokenizer)
    make = lambda seed=0: TrainStream(examples, prompter, 16, seed)  # noqa: E731
    make.prompter, make.examples = prompter, {example.id: example for example in examples}
    return make


def take(stream, count):
    return [next(stream) for _ in range(count)]


def same(a, b):
    return a.ids == b.ids and all(np.array_equal(getattr(a, k), getattr(b, k)) for k in ("tokens", "lengths", "targets"))


def test_loss_stands_on_the_label_and_the_end_of_turn_alone(stream):
    prompter = stream.prompter
    for batch in take(stream(), 6):
        for row, id in enumerate(batch.ids):
            example = stream.examples[id]
            prompt = prompter.encode([example])[0].input_ids
            label = prompter.label_ids[example.label]
            assert [*batch.prefix, *batch.tokens[row, :batch.lengths[row]]] == [*prompt, label]
            wanted = np.full(len(batch.prefix) + batch.targets.shape[1], -1)
            wanted[len(prompt) - 1:len(prompt) + 1] = [label, prompter.end_of_turn]
            assert len(batch.prefix) >= 8
            wanted = wanted[len(batch.prefix):]
            assert np.array_equal(batch.targets[row], wanted)
        filler = slice(len(batch.ids), None)
        assert (batch.targets[filler] == -1).all() and (batch.lengths[filler] == 1).all()


def test_answers_of_several_tokens(toy, chat_tokenizer):
    task = toy(label_words=[" bad", " rather good"], scoring="likelihood")
    examples = [example.for_training() for example in load_task(task).examples["test"]]
    prompter = Prompter(task, chat_tokenizer)
    batch = next(TrainStream(examples, prompter, 40, 0))
    for row, id in enumerate(batch.ids):
        label = next(example.label for example in examples if example.id == id)
        answer = [*prompter.continuations[label], prompter.end_of_turn]
        assert batch.targets[row][batch.targets[row] >= 0].tolist() == answer
        start = batch.lengths[row] - len(answer) + 1
        assert batch.tokens[row, start:batch.lengths[row]].tolist() == answer[:-1]


def test_an_epoch_has_every_row_once_in_another_order_each_time(stream):
    one = stream()
    assert one.batches_per_epoch == 6
    epochs = [take(one, 6) for _ in range(3)]
    for epoch in epochs:
        assert sorted(id for batch in epoch for id in batch.ids) == sorted(stream.examples)
    assert len({tuple(id for batch in epoch for id in batch.ids) for epoch in epochs}) == 3
    assert len({batch.tokens.shape for epoch in epochs for batch in epoch}) <= 6


def test_the_seed_decides(stream):
    assert all(same(a, b) for a, b in zip(take(stream(3), 15), take(stream(3), 15), strict=True))
    assert not all(same(a, b) for a, b in zip(take(stream(3), 6), take(stream(4), 6), strict=True))


@pytest.mark.parametrize("position", [0, 1, 5, 6, 13])
def test_resuming_anywhere_is_exact(stream, position):
    whole = take(stream(), 20)
    before = stream()
    take(before, position)
    after = stream()
    after.restore(before.state)
    assert all(same(a, b) for a, b in zip(take(after, 20 - position), whole[position:], strict=True))


def test_no_rows_is_an_error(stream):
    with pytest.raises(InputError, match="no training rows"):
        TrainStream([], stream.prompter, 4, 0)


def write_texts(tmp_path):
    import gzip

    (tmp_path / "a.txt").write_text("\n\nfirst text\nsecond line\r\n\r\n\n\nanother text\n")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"packed text"))
    (tmp_path / "c.jsonl").write_text('{"text": "a row"}\n{"text": "b row"}\n')
    return [tmp_path / name for name in ("a.txt", "b.txt.gz", "c.jsonl")]


def test_plain_text_is_one_row_of_tokens_cut_into_windows(tmp_path, plain_tokenizer):
    tokenizer = plain_tokenizer
    stream = text_batches(write_texts(tmp_path), tokenizer, window=4, batch_size=3, seed=0)
    documents = ["first text\nsecond line", "another text", "packed text", "a row", "b row"]
    tokens = [id for text in documents for id in [*tokenizer.encode(text), tokenizer.eos_token_id]]
    assert stream.tokens.tolist() == tokens
    windows = (len(tokens) - 1) // 4
    assert stream.batches_per_epoch == windows // 3
    seen = set()
    for batch in take(stream, stream.batches_per_epoch):
        assert batch.tokens.shape == batch.targets.shape == (3, 4) and (batch.lengths == 4).all()
        for row, id in enumerate(batch.ids):
            start = 4 * int(id.removeprefix("window-"))
            assert batch.tokens[row].tolist() == tokens[start:start + 4]
            assert batch.targets[row].tolist() == tokens[start + 1:start + 5]
            seen.add(id)
    assert len(seen) == 3 * stream.batches_per_epoch


def test_plain_text_resumes_exactly(tmp_path, plain_tokenizer):
    paths = write_texts(tmp_path)
    make = lambda: text_batches(paths, plain_tokenizer, window=4, batch_size=2, seed=1)  # noqa: E731
    whole = take(make(), 20)
    after = make()
    after.restore(7)
    assert all(same(a, b) for a, b in zip(take(after, 13), whole[7:], strict=True))


def test_plain_text_errors(tmp_path, plain_tokenizer):
    import copy

    paths = write_texts(tmp_path)
    with pytest.raises(InputError, match="too few for one batch of 64 rows of 128 tokens"):
        text_batches(paths, plain_tokenizer, window=128, batch_size=64, seed=0)
    with pytest.raises(InputError, match=r"c.jsonl, line 1: no text in the column 'body'"):
        text_batches(paths, plain_tokenizer, window=4, batch_size=2, seed=0, column="body")
    with pytest.raises(InputError, match=r"none.txt: no such file"):
        text_batches([tmp_path / "none.txt"], plain_tokenizer, window=4, batch_size=2, seed=0)
    endless = copy.deepcopy(plain_tokenizer)
    endless.eos_token = None
    with pytest.raises(InputError, match="no end-of-text token"):
        text_batches(paths, endless, window=4, batch_size=2, seed=0)
