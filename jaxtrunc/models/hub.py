"""From what a user types for a model to a local directory, and the tokenizer in it."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jaxtrunc.core.bounded import MAX_BYTES, require_file
from jaxtrunc.core.errors import InputError
from jaxtrunc.models.read_config import CONFIG

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

WEIGHTS = "*.safetensors"
FILES = [WEIGHTS, "*.safetensors.index.json", "*.json", "*.txt", "*.model", "*.jinja"]
READ_WHOLE = (".json", ".jinja", ".txt", ".model")  # by the library, whatever it is: a pipe would block for ever
_HUB_NAME = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[^@\s]+))?")


def resolve_ref(ref: str, holds: str = CONFIG, needed: Callable[[Path], Sequence[str]] | None = None) -> Path:
    """The local directory of a model: `ref` itself if it is one, else `org/name[@revision]` from the Hub or its cache.

    Args:
      holds: the file that tells such a directory; an adapter has adapter_config.json.
      needed: names the files of weights to fetch, given the directory with all others; default: all.

    Only safetensors, configs and tokenizer files are fetched; `HF_HOME`, `HF_TOKEN` and `HF_HUB_OFFLINE` apply.
    """
    local = Path(ref).expanduser()
    if local.is_dir():
        if not (local / holds).is_file():
            raise InputError(f"{ref}: the directory holds no {holds}; expected a Hugging Face directory that does")
        return local
    named = _HUB_NAME.fullmatch(ref)
    if local.exists() or named is None or ref.startswith((".", "/", "~")):
        raise InputError(f"{ref}: neither a model directory nor a name like org/name or org/name@revision")
    if needed is None:
        return _download(ref, named["repo"], named["revision"], FILES)
    directory = _download(ref, named["repo"], named["revision"], [pattern for pattern in FILES if pattern != WEIGHTS])
    return _download(ref, named["repo"], named["revision"], list(needed(directory)))


def _download(ref: str, repo: str, revision: str | None, patterns: list[str]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=patterns, ignore_patterns="*/*"))
    except (HfHubHTTPError, OSError, ValueError, RuntimeError) as error:  # every way the hub client says no
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"{ref}: no such local directory, and the Hugging Face Hub gave none ({reason[0]})") from None


def load_tokenizer(directory: Path) -> "PreTrainedTokenizerBase":
    """The tokenizer of a model directory, with its chat template if it has one; never runs code from the directory."""
    from transformers import AutoTokenizer

    for file in directory.iterdir():
        if file.suffix in READ_WHOLE:
            require_file(file)
            if file.stat().st_size > MAX_BYTES:
                raise InputError(f"{file}: {file.stat().st_size} bytes; no tokenizer needs a file of over {MAX_BYTES}")
    try:
        tokenizer = AutoTokenizer.from_pretrained(directory, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # the tokenizers library raises bare Exception for a malformed file
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"{directory}: the tokenizer cannot be read ({reason[0]})") from None
    if tokenizer.vocab_size < 2:  # without tokenizer.json the library makes one that knows nothing
        raise InputError(f"{directory}: the tokenizer has no vocabulary; tokenizer.json is missing or empty")
    return tokenizer
