"""Python files in a model directory stay what they are: text."""

from generator.case import change_json

from jaxtrunc.models import load_tokenizer

EVIL = "from pathlib import Path\nPath(__file__).with_name('owned').touch()\n"


def test_a_tokenizer_that_names_code_is_read_without_it(place):
    (place.model / "evil.py").write_text(EVIL)
    change_json(place.model / "tokenizer_config.json", tokenizer_class="Evil", auto_map={"AutoTokenizer": ["evil.Evil", None]})
    tokenizer = load_tokenizer(place.model)
    assert tokenizer("a good film").input_ids == load_tokenizer(place.base)("a good film").input_ids
    assert not (place.model / "owned").exists()
