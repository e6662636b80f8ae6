"""Prompts and label words with real tokenizers: exactly the strings and ids that stand here."""

import dataclasses

import pytest

from jaxtrunc.core.errors import InputError
from jaxtrunc.data import Example, Prompter, load_task

QUESTION = "Negative or positive?"


def example(text="a plain text"):
    return Example("x", {"Text": text}, 0, {"marker": 0}, "test")


def chat(tokenizer, content):
    messages = [{"role": "user", "content": content}]
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)


@pytest.mark.parametrize("name", ["qwen", "llama3"])
def test_with_a_chat_template(toy, real_tokenizer, name):
    tokenizer = real_tokenizer(name)
    prompter = Prompter(toy(), tokenizer)
    encoded = prompter.encode([example(), example("Ünïcode {braces} 你好\n")])
    assert encoded[0].prompt == chat(tokenizer, f"{QUESTION}\nText: a plain text")
    assert encoded[1].prompt == chat(tokenizer, f"{QUESTION}\nText: Ünïcode {{braces}} 你好\n")
    for one in encoded:
        assert one.input_ids == tokenizer.encode(one.prompt, add_special_tokens=False)
    assert prompter.label_ids == [tokenizer.encode(w, add_special_tokens=False)[0] for w in (" negative", " positive")]
    end = {"qwen": "<|im_end|>", "llama3": "<|eot_id|>"}[name]
    assert prompter.end_of_turn == tokenizer.convert_tokens_to_ids(end)


@pytest.mark.parametrize("name", ["gpt2", "stories260k"])
def test_without_a_chat_template(toy, real_tokenizer, name):
    tokenizer = real_tokenizer(name)
    prompter = Prompter(toy(scoring="likelihood"), tokenizer)
    (one,) = prompter.encode([example()])
    assert one.prompt == f"{QUESTION}\nText: a plain text\nAnswer:"
    assert one.input_ids == tokenizer.encode(one.prompt)  # with special tokens: stories260k begins with <s>
    assert prompter.end_of_turn == tokenizer.eos_token_id
    for word, ids in zip((" negative", " positive"), prompter.continuations, strict=True):
        assert [*one.input_ids, *ids] == tokenizer.encode(one.prompt + word)


def test_a_template_that_ends_a_turn_with_a_line_break(toy, chat_tokenizer):
    prompter = Prompter(toy(), chat_tokenizer)
    assert prompter.prompt(example()) == f"user: {QUESTION}\nText: a plain text\nassistant:"
    assert prompter.end_of_turn == chat_tokenizer.encode("\n", add_special_tokens=False)[0]
    assert prompter.describe()["label_tokens"] == [[i] for i in prompter.label_ids]


def test_several_fields_the_prompt_key_and_label_words(toy, chat_tokenizer):
    task = toy(text={"Premise": "text", "Marker": "id"}, prompt="{fields}\n{instruction} ({label_words})")
    prompter = Prompter(task, chat_tokenizer)
    content = f"Premise: a plain text number 0\nMarker: test-0\n{QUESTION} (negative, positive)"
    assert prompter.prompt(load_task(task).examples["test"][0]) == chat(chat_tokenizer, content)


@pytest.mark.parametrize("name", ["qwen", "gpt2", "stories260k"])
def test_long_text_is_cut_and_the_template_never(toy, real_tokenizer, name):
    tokenizer = real_tokenizer(name)
    prompter = Prompter(toy(max_text_tokens=7, scoring="likelihood"), tokenizer)
    text = "one two three 你好世界 four five six seven eight nine"
    cut = prompter.prompt(example(text)).split("Text: ")[1].split("\nAnswer:")[0].split("<|im_end|>")[0]
    assert text.startswith(cut) and 0 < len(cut) < len(text)
    assert len(tokenizer.encode(cut, add_special_tokens=False)) <= 7
    assert prompter.prompt(example(text)) == prompter.prompt(example(cut))
    if name != "stories260k":  # plain ASCII is cut to exactly the limit
        words = prompter.prompt(example("one two three four five six seven eight")).split("Text: ")[1]
        assert words.startswith("one two three four five six seven") and "eight" not in words
    short = "one two"
    assert short + "\n" in prompter.prompt(example(short)).replace("<|im_end|>", "\n")


@pytest.mark.parametrize("words, message", [
    ([" negative", " positive film"], r"label word ' positive film' is \d+ tokens .*scoring: likelihood"),
    ([" negative", " unbelievable"], r"label word ' unbelievable' is \d+ tokens .*scoring: likelihood"),
])  # fmt: skip
def test_label_words_of_several_tokens_are_refused(toy, chat_tokenizer, words, message):
    with pytest.raises(InputError, match=message) as caught:
        Prompter(toy(label_words=words), chat_tokenizer)
    assert caught.value.exit_code == 2 and "\n" not in str(caught.value)
    prompter = Prompter(toy(label_words=words, scoring="likelihood"), chat_tokenizer)
    assert len(prompter.continuations[1]) > 1
    with pytest.raises(InputError, match="scoring: verbalizer"):
        _ = prompter.label_ids


@pytest.mark.parametrize("word", [":", ": positive"])
def test_words_are_checked_in_context(toy, plain_tokenizer, word):
    """With `::` in the vocabulary, what follows `Answer:` changes the last token of the prompt itself."""
    import copy

    merging = copy.deepcopy(plain_tokenizer)
    merging.add_tokens(["::"])
    with pytest.raises(InputError, match=f"label word '{word}' merges with the end of the prompt"):
        Prompter(toy(label_words=[" negative", word]), merging)


def test_words_that_become_the_same_tokens_are_refused(toy, chat_tokenizer):
    import copy

    from tokenizers import normalizers

    folding = copy.deepcopy(chat_tokenizer)
    folding.backend_tokenizer.normalizer = normalizers.Lowercase()
    with pytest.raises(InputError, match="two of 'label_words' are the same tokens"):
        Prompter(toy(label_words=[" positive", " Positive"]), folding)


def test_a_failing_template_and_a_slow_tokenizer_are_named(toy, chat_tokenizer):
    import copy

    broken = copy.deepcopy(chat_tokenizer)
    broken.chat_template = "{{ raise_exception('system turn needed') }}"
    with pytest.raises(InputError, match=r"chat template fails \(system turn needed\)"):
        Prompter(toy(), broken)

    class Slow:
        is_fast, name_or_path = False, "some/where"

    with pytest.raises(InputError, match="tokenizer some/where: expected a fast tokenizer"):
        Prompter(toy(), Slow())


def test_no_end_of_turn_is_an_error(toy, plain_tokenizer):
    import copy

    endless = copy.deepcopy(plain_tokenizer)
    endless.eos_token = None
    with pytest.raises(InputError, match="end-of-text token"):
        _ = Prompter(toy(), endless).end_of_turn


def test_prompts_ignore_attributes_and_label(toy, chat_tokenizer):
    prompter = Prompter(toy(), chat_tokenizer)
    one = example()
    other = dataclasses.replace(one, label=1, attributes={"marker": 1})
    assert prompter.encode([one]) == prompter.encode([other]) == prompter.encode([one.for_training()])


def test_a_token_beyond_the_embedding_is_refused_where_a_prompt_has_it(toy, real_tokenizer):
    """Padding that was added without a row of its own is ordinary, and harmless until a text has it."""
    tokenizer = real_tokenizer("gpt2")
    rows = len(tokenizer)
    tokenizer.add_special_tokens({"pad_token": "<|later|>"})
    prompter = Prompter(toy(scoring="likelihood"), tokenizer, rows)
    assert prompter.encode([example()]) and prompter.end_of_turn < rows
    with pytest.raises(InputError, match=rf"<\|later\|>.*id {rows}.*vocab_size {rows}"):
        prompter.encode([example(), example("what comes <|later|>")])
    with pytest.raises(InputError, match="vocab_size 9"):
        Prompter(toy(), tokenizer, 9)
