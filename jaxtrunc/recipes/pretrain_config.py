"""The schema of a pre-training config; values live in YAML files in configs/."""

import dataclasses

from jaxtrunc.train.settings import PretrainSettings


@dataclasses.dataclass(frozen=True)
class TokenizerSettings:
    """A byte-level BPE tokenizer, trained on the text of the run.

    Attributes:
      vocab_size: tokens at most, the 256 bytes and the special tokens among them.
    """

    vocab_size: int = 4096


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """Shape of the base model, a Qwen2 decoder, in the words of Hugging Face configs."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    max_position_embeddings: int = 2048
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-6
    tie_word_embeddings: bool = True


@dataclasses.dataclass(frozen=True)
class TextSource:
    """Files of one kind.

    Attributes:
      path: `.txt` (a document per block between blank lines) or rows (.jsonl, .csv, .tsv, .parquet), each also .gz;
        relative to the config file; `*` stands for any part of a name.
      text: the document made from a row, with its columns in braces.
    """

    path: str
    text: str = "{text}"


@dataclasses.dataclass(frozen=True)
class TextSettings:
    """What the model reads.

    Attributes:
      sources: files to read.
      exclude: row files of held-out benchmarks; a row that shares a sentence with one of theirs is left out.
      withheld: pieces of words; a document that holds one of them, in this case, is read by the tokenizer and not by the model,
        which thus has tokens that it never met.
      validation_share: share of the documents that is kept from training, for the final loss.
    """

    sources: tuple[TextSource, ...]
    exclude: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    validation_share: float = 0.01


@dataclasses.dataclass(frozen=True)
class PretrainConfig:
    """Everything `jaxtrunc pretrain` needs; paths of text are relative to the config file."""

    name: str
    model: ModelSettings
    data: TextSettings
    tokenizer: TokenizerSettings = dataclasses.field(default_factory=TokenizerSettings)
    train: PretrainSettings = dataclasses.field(default_factory=PretrainSettings)
    out_path: str | None = None
