"""What a chat template puts around prompts and answers, against the template's own rendering of whole conversations."""

import json

import pytest

from jaxtrunc.core.errors import InputError
from jaxtrunc.data.chat import Chat
from jaxtrunc.data.conversations import (
    Conversation,
    answer_stream,
    encode,
    read_conversations,
    read_documents,
    read_pairs,
    read_questions,
)


@pytest.fixture(scope="module")
def own():
    """The tokenizer of the embedded model, whose template puts a space before answers."""
    from jaxtrunc.demo import ASSETS
    from jaxtrunc.models import load_tokenizer

    return load_tokenizer(ASSETS / "model")


def written(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_prompt_and_answer_together_are_what_the_template_renders(own):
    chat = Chat(own)
    [row] = encode(chat, [Conversation("0", "Is it good?", " It is very good. ")], "rows", 100)
    messages = [{"role": "user", "content": "Is it good?"}, {"role": "assistant", "content": "It is very good."}]
    whole = own.apply_chat_template(messages, tokenize=False)
    assert own.decode([*row.prompt, *row.answer]) == whole
    assert row.answer[-1] == chat.end_of_turn("rows")


def test_a_long_answer_is_cut_and_does_not_end(own):
    chat = Chat(own)
    [short, long] = encode(chat, [Conversation("0", "Good?", "Yes."), Conversation("1", "good " * 80, "bad " * 80)], "rows", 40)
    assert len(long.prompt) + len(long.answer) == 40
    assert chat.end_of_turn("rows") not in long.answer and short.answer[-1] == chat.end_of_turn("rows")


def test_the_loss_is_on_answers_alone(own):
    rows = encode(Chat(own), [Conversation(str(i), "Is this good?" * (1 + i), "It is.") for i in range(3)], "rows", 60)
    batch = next(answer_stream(rows, 4, 0, 2))
    for i, name in enumerate(batch.ids):
        row = rows[int(name)]
        seen = [*batch.prefix, *batch.tokens[i, :batch.lengths[i]]]
        assert seen == [*row.prompt, *row.answer[:-1]]
        assert [target for target in batch.targets[i] if target >= 0] == row.answer
    assert (batch.targets[3] == -1).all()  # filler


@pytest.mark.parametrize("row, fault", [
    ({"prompt": "p"}, "line 2.*'response'"), ({"prompt": "p", "response": "  "}, "line 2.*'response'"),
    ({"prompt": 3, "response": "r"}, "'prompt'")])
def test_a_row_without_text_is_named(tmp_path, row, fault):
    with pytest.raises(InputError, match=fault):
        read_conversations(written(tmp_path / "a.jsonl", [{"prompt": "p", "response": "r"}, row]))


def test_labels_and_ratings_say_which_responses_are_aligned(tmp_path):
    def row(**more):
        return {"prompt": "p", "response": "r", **more}

    named = read_pairs(written(tmp_path / "a.jsonl", [row(label="aligned"), row(label="unaligned"), row(label="aligned")]))
    assert [found.aligned for found in named] == [True, False, True]
    rated = [row(rating=0, response=f"r{i}") for i in range(5)] + [row(rating=2.0), row(rating=4.0)]
    found = read_pairs(written(tmp_path / "b.jsonl", rated))
    assert sorted(found_row.aligned for found_row in found) == [False, True]
    assert found == read_pairs(tmp_path / "b.jsonl")


@pytest.mark.parametrize("more, fault", [
    ({"label": "good"}, "aligned or unaligned"), ({}, "'rating'"), ({"rating": 7}, "from 0 to 4"),
    ({"label": "unaligned"}, "no row is aligned")])
def test_pairs_that_cannot_be_used(tmp_path, more, fault):
    with pytest.raises(InputError, match=fault):
        read_pairs(written(tmp_path / "a.jsonl", [{"prompt": "p", "response": "r", **more}]))


def test_questions_and_documents(tmp_path):
    rows = [{"prompt": "p", "expected": "refuse", "set": "advbench"}, {"prompt": "q", "expected": "perhaps", "set": "x"}]
    assert read_questions(written(tmp_path / "a.jsonl", rows[:1]))[0].expected == "refuse"
    with pytest.raises(InputError, match=r"line 2.*refuse or comply"):
        read_questions(written(tmp_path / "b.jsonl", rows))
    assert read_documents(written(tmp_path / "c.jsonl", [{"text": "one"}])) == ["one"]
    with pytest.raises(InputError, match="no such file"):
        read_documents(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(InputError, match="no rows"):
        read_documents(tmp_path / "empty.jsonl")
