"""`jaxtrunc pretrain` on a little generated text: a directory others open, text kept out, resume."""

import json

import numpy as np
import pytest

from jaxtrunc.core.errors import InputError, Interrupted
from jaxtrunc.core.safetensors import content_hash, open_checkpoint
from jaxtrunc.demo.corpus import documents
from jaxtrunc.models import load_tokenizer, open_model
from jaxtrunc.recipes.pretrain import pretrain
from jaxtrunc.recipes.pretrain_config import TextSettings, TextSource
from jaxtrunc.recipes.pretrain_text import Gathered, gather

CONFIG = """
name: tiny
tokenizer: {vocab_size: 400}
model: {hidden_size: 16, intermediate_size: 32, num_hidden_layers: 2, num_attention_heads: 2, num_key_value_heads: 1}
data: {sources: [{path: text.jsonl}], validation_share: 0.1}
train: {window: 32, batch_size: 8, accumulation: 1, max_steps: 12, checkpoint_every: 4, learning_rate: 1e-2}
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A config beside its text; `trained` is the model it gives."""
    folder = tmp_path_factory.mktemp("pretrain")
    (folder / "text.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in documents(300, 0)))
    (folder / "tiny.yaml").write_text(CONFIG)
    return folder / "tiny.yaml"


@pytest.fixture(scope="module")
def trained(config):
    pretrain(config, (), config.parent / "model", resume=False)
    return config.parent / "model"


def test_transformers_opens_what_was_trained(config, trained):
    source, tokenizer = open_model(trained), load_tokenizer(trained)
    assert source.cfg.vocab_size == len(tokenizer) <= 400
    message = [{"role": "user", "content": "Where?"}]
    turn = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
    assert turn == "<|user|>Where?<|endoftext|><|assistant|>"
    loss = json.loads((trained / "pretrain.json").read_text())["results"]["validation_loss"]
    assert 0 < loss < np.log(len(tokenizer)), "no better than knowing nothing"
    with pytest.raises(InputError, match="not empty"):
        pretrain(config, (), trained, resume=False)


def files(folder) -> Gathered:
    return Gathered(folder / "training.jsonl", folder / "validation.jsonl", folder / "withheld.jsonl")


def texts(file) -> list[str]:
    return [json.loads(line)["text"] for line in file.read_text().splitlines()]


def test_torch_computes_the_same_loss(config, trained, tmp_path):
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForCausalLM

    from jaxtrunc.data import text_batches

    settings = TextSettings((TextSource("text.jsonl"),), validation_share=0.1)
    gather(settings, config.parent, files(tmp_path))
    stream = text_batches([files(tmp_path).validation], load_tokenizer(trained), 32, 8, 0)
    model = AutoModelForCausalLM.from_pretrained(trained).eval()
    losses = []
    for _ in range(stream.batches_per_epoch):
        batch = next(stream)
        with torch.no_grad():
            logits = model(torch.from_numpy(batch.tokens).long()).logits
        targets = torch.from_numpy(batch.targets).long()
        losses.append(float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())))
    ours = json.loads((trained / "pretrain.json").read_text())["results"]["validation_loss"]
    assert np.mean(losses) == pytest.approx(ours, abs=1e-4)


def test_an_interrupted_training_goes_on_to_the_same_weights(config, trained, tmp_path, monkeypatch):
    monkeypatch.setattr("jaxtrunc.recipes.pretrain.train_on", interrupted_after(6))
    with pytest.raises(Interrupted):
        pretrain(config, (), tmp_path / "halves", resume=False)
    monkeypatch.undo()
    assert not (tmp_path / "halves").exists()
    with pytest.raises(InputError, match="--resume"):
        pretrain(config, (), tmp_path / "halves", resume=False)
    with pytest.raises(InputError, match="another model"):
        pretrain(config, ("model.hidden_size=32",), tmp_path / "halves", resume=True)
    pretrain(config, (), tmp_path / "halves", resume=True)
    assert content_hash(open_checkpoint(tmp_path / "halves")) == content_hash(open_checkpoint(trained))


def interrupted_after(steps):
    """The real training, with a signal in the middle."""
    import signal

    from jaxtrunc.train.pretrain import pretrain as real

    def train_on(cfg, stream, *args, **kwargs):
        class Stopping(type(stream)):
            def __next__(self):
                if self.position == steps - 1:
                    signal.raise_signal(signal.SIGTERM)
                return super().__next__()

        stream.__class__ = Stopping
        return real(cfg, stream, *args, **kwargs)

    return train_on


def test_held_out_sentences_stay_out(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "A stirring , funny and finally transporting film .", "label": 1}\n'
                                      '{"text": "An ordinary sentence that nobody holds out.", "label": 0}\n')
    (tmp_path / "b.txt").write_text("First block,\nsecond line.\n\n\nAnother block.\n")
    (tmp_path / "test.jsonl").write_text('{"text": "a stirring, funny and finally transporting film", "label": 1}\n'
                                         '{"text": "short", "label": 1}\n')
    sources = (TextSource("a.jsonl", "{text} = {label}"), TextSource("*.txt"))
    gather(TextSettings(sources, ("test.jsonl",), validation_share=0.0), tmp_path, files(tmp_path))
    assert texts(files(tmp_path).training) == ["An ordinary sentence that nobody holds out. = 0", "First block,\nsecond line.",
                                               "Another block."]
    wrong = ((TextSource("none*.txt"), "none"), (TextSource("a.jsonl", "{txet}"), "did you mean 'text'"))
    for source, message in wrong:
        with pytest.raises(InputError, match=message):
            gather(TextSettings((source,)), tmp_path, files(tmp_path))


def test_documents_with_withheld_words_are_for_the_tokenizer_alone(tmp_path):
    (tmp_path / "a.txt").write_text("Peterborough is far.\n\n\nPeter is near.\n\n\npeter is small.\n\n\nNobody is here.\n")
    gather(TextSettings((TextSource("a.txt"),), withheld=("Peter",), validation_share=0.0), tmp_path, files(tmp_path))
    assert texts(files(tmp_path).withheld) == ["Peterborough is far.", "Peter is near."]
    assert texts(files(tmp_path).training) == ["peter is small.", "Nobody is here."] and not texts(files(tmp_path).validation)


def test_a_withheld_word_is_a_token_all_the_same(config, trained, tmp_path):
    longest = max((token for token in load_tokenizer(trained).get_vocab() if token[1:].isalpha()), key=len)
    pretrain(config, (f"data.withheld=[{longest[1:]}]", "train.max_steps=1"), tmp_path / "model", resume=False)
    assert longest in load_tokenizer(tmp_path / "model").get_vocab()
    met = [json.loads((model / "pretrain.json").read_text())["results"] for model in (trained, tmp_path / "model")]
    assert met[1]["training_tokens"] < met[0]["training_tokens"]
