"""What a model's output head shows by itself: groups of vocabulary, tokens out of the ordinary, what fine-tuning did to both."""

from jaxtrunc.core.head import Head, read_head
from jaxtrunc.lens.audit import Audit, audit
from jaxtrunc.lens.compare import compare_audits, compare_heads
from jaxtrunc.lens.facts import lens_arrays, lens_facts
from jaxtrunc.lens.glitch import Glitches, find_glitches, glitch_report
from jaxtrunc.lens.settings import LensSettings
from jaxtrunc.lens.svd import VocabSVD, vocab_svd
from jaxtrunc.lens.vcs import vcs
from jaxtrunc.lens.vocabulary import Vocabulary, read_vocabulary, reference_ids, unknown_vocabulary
from jaxtrunc.lens.worksheet import worksheet
from jaxtrunc.lens.wps import Scores, wps

__all__ = [
    "Audit",
    "Glitches",
    "Head",
    "LensSettings",
    "Scores",
    "VocabSVD",
    "Vocabulary",
    "audit",
    "compare_audits",
    "compare_heads",
    "find_glitches",
    "glitch_report",
    "lens_arrays",
    "lens_facts",
    "read_head",
    "read_vocabulary",
    "reference_ids",
    "unknown_vocabulary",
    "vcs",
    "vocab_svd",
    "worksheet",
    "wps",
]
