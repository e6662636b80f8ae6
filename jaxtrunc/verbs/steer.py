"""The verb that trains for one objective under another."""

from dataclasses import dataclass

from jaxtrunc.verbs.verb import FromConfig


@dataclass(kw_only=True)
class Steer(FromConfig):
    """Train a model for one objective under another without spectral interference (SIFT), or by a rival. Writes RUN/model.

    Tasks: unlearning, safety, second_modality, hallucination (made from a seed), tofu, refusals, selfaware (with files of yours).
    Methods: sift; muon or adamw, with combine weighted_sum, pcgrad, mgda, cagrad or blur. Presets of where SIFT fires: unlearn,
    safety, speech, hallucination. docs/steer.md has every key.

    Example:  jaxtrunc steer configs/steer/tofu.yaml --out-path runs/tofu method=muon combine=pcgrad
    """

    together = False

    def run(self) -> None:
        from jaxtrunc.recipes.steer.run import steer

        steer(self.config, self.overrides, self.out_path, resume=self.resume)
