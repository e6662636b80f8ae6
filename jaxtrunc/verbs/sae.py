"""Verbs of sparse autoencoders: `jaxtrunc sae train`, `features`, `subspace`, `adapt`, `report`, and all of them as `run`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from jaxtrunc.recipes.sae.settings import (
    AInit,
    Constraint,
    FeatureSettings,
    Init,
    Pooling,
    Postnorm,
    Preset,
    SAEKind,
    Score,
    SubspaceSettings,
    Weighting,
)
from jaxtrunc.verbs.verb import FromConfig, Overrides, Verb, numbers, words

Ref = Annotated[str, arg(metavar="REF")]
SiteName = Annotated[str, arg(metavar="KIND.LAYER")]


@dataclass(kw_only=True)
class Sae(Verb):
    """Adapters that begin in a subspace of sparse-autoencoder features (SAILS, arXiv 2512.23260), and every control beside them.

    In this order: train (or bring) an autoencoder, choose features from aligned and unaligned responses, span a subspace,
    train adapters that begin there. All write into one run directory. On one host.

    Example:  jaxtrunc sae run configs/sae/small.yaml
    """


@dataclass(kw_only=True)
class SaeRun(FromConfig):
    """All of it as one config file says: autoencoders, features, subspaces, every adapter with every seed, the report.

    Example:  jaxtrunc sae run configs/sae/small.yaml --out-path runs/sae-small
    """

    together = False

    def run(self) -> None:
        from jaxtrunc.recipes.sae.run import run

        run(self.config, self.overrides, self.out_path, resume=self.resume)


@dataclass(kw_only=True)
class SaeTrain(Verb):
    """Train a sparse autoencoder on what a model computes at one site while it reads a text. Writes RUN/sae/SITE.

    Example:  jaxtrunc sae train --base-model models/small --site resid_post.1 --data text.jsonl --out-path runs/mine --width 1024
    """

    together = False

    base_model: Ref
    """Local Hugging Face directory, org/name or org/name@revision."""
    site: SiteName
    """resid_post.3, attn_out.3, mlp_out.3 or attn_z.3; layers are counted from 0."""
    data: Path
    """Rows with a column text (.jsonl, .csv, .tsv, .parquet, each also .gz)."""
    out_path: Path
    """Directory of the run; refused if it already holds an autoencoder of this site."""
    kind: SAEKind = "topk"
    """batchtopk is saved as jumprelu."""
    width: int | None = None
    """Latents of the dictionary; default: 8 times the width of the site."""
    k: int = 64
    """Latents per activation (topk), or on average (batchtopk)."""
    overrides: Overrides = ()
    """Other values, such as sae.steps=4000, sae.batch=2048, text.context=256 (docs/sae.md)."""
    resume: bool = False
    """Continue from the last checkpoint."""

    def run(self) -> None:
        from jaxtrunc.recipes.sae.train import train

        settings = {"kind": self.kind, "n": self.width, "k": self.k}
        train(self.base_model, self.site, self.data, self.out_path, settings, self.overrides, resume=self.resume)


@dataclass(kw_only=True)
class SaeFeatures(Verb):
    """Choose the features that differ between aligned and unaligned responses. Writes RUN/features/SITE.json and .npz.

    Example:  jaxtrunc sae features --base-model models/small --site resid_post.1 --pairs pairs.jsonl --out-path runs/mine
    """

    together = False

    base_model: Ref
    """The model that the autoencoder was trained on."""
    site: SiteName
    """Not attn_z, where no matrix writes to."""
    pairs: Path
    """Rows with prompt, response and label (aligned, unaligned) or rating (0, 4)."""
    out_path: Path
    """Directory of the run."""
    sae: Path | None = None
    """Directory of an autoencoder (Gemma Scope, SAELens, Llama Scope, sparsify); default: RUN/sae/SITE."""
    pooling: Pooling = "mean"
    """How the activations of a response become one number per feature."""
    score: Score = "delta"
    """What is largest in the chosen features: |difference|, signed difference, or |Welch's t|."""
    budget: int | None = None
    """Number of features; default: 64."""
    fraction: float | None = None
    """Instead: share of the dictionary."""
    preset: Preset | None = None
    """paper: 30% of the dictionary."""
    draws: int = 0
    """Random labellings of a permutation test; the usual number is 200."""
    max_tokens: int = FeatureSettings.max_tokens
    """Of one prompt with its response; what is longer is cut."""
    batch_size: int = FeatureSettings.batch_size
    """Responses per pass; nothing depends on it."""
    explainer: Annotated[str | None, arg(metavar="MODULE:FUNCTION")] = None
    """Says in a few words what a feature is, from its contexts and tokens; shown as its label."""
    overrides: Overrides = ()
    """Values such as mesh.tensor=8."""

    def run(self) -> None:
        from jaxtrunc.recipes.sae.features import features

        settings = FeatureSettings(pooling=self.pooling, score=self.score, budget=self.budget, fraction=self.fraction,
                                   draws=self.draws, max_tokens=self.max_tokens, batch_size=self.batch_size,
                                   explainer=self.explainer)
        features(self.base_model, self.site, self.pairs, self.out_path, settings.with_preset(self.preset), self.overrides,
                 sae=self.sae)


@dataclass(kw_only=True)
class SaeSubspace(Verb):
    """Span a subspace by the decoder rows of the chosen features. Writes RUN/subspace/SITE.npz and .json.

    RUN/labels.json may name features and leave some out (docs/sae.md).

    Example:  jaxtrunc sae subspace --base-model models/small --site resid_post.1 --out-path runs/mine --rank 16
    """

    together = False

    base_model: Ref
    """The model of the features."""
    site: SiteName
    """One that features were chosen at."""
    out_path: Path
    """Directory of the run."""
    rank: int = SubspaceSettings.rank
    """Columns of U."""
    tau: float = SubspaceSettings.tau
    """Share of the energy that the reported number of components holds; U does not depend on it."""
    weighting: Weighting | None = None
    """delta (rows count by their difference) or none; default: delta."""
    center: bool = False
    """Subtract the mean row first."""
    preset: Preset | None = None
    """paper: unweighted."""

    def run(self) -> None:
        from jaxtrunc.recipes.sae.subspace import subspace

        settings = SubspaceSettings(self.rank, self.tau, self.weighting, self.center)
        subspace(self.base_model, self.site, self.out_path, settings.with_preset(self.preset))


@dataclass(kw_only=True)
class SaeAdapt(Verb):
    """Train one adapter that begins in the subspace, or in a control, and measure refusals. Writes RUN/adapters/NAME, results.json.

    Example:  jaxtrunc sae adapt --base-model models/small --data train.jsonl --eval eval.jsonl --out-path runs/mine --init subspace
    """

    together = False

    base_model: Ref
    """The model to adapt."""
    data: Path
    """Rows with prompt and response, both as the model should say them."""
    out_path: Path
    """Directory of the run; holds subspaces, unless it is for --init lora."""
    eval: Path | None = None
    """Rows with prompt, expected (refuse, comply) and set; default: nothing is measured."""
    init: Init = "subspace"
    """Where the output factor begins."""
    a_init: AInit | None = None
    """The other factor; default: zero, so that the start is the base model."""
    freeze_b: bool = False
    """Train the other factor alone."""
    postnorm: Postnorm = "ignore"
    """divide: take a norm behind the projection into account (Gemma-2)."""
    constraint: Constraint | None = None
    """Penalise what leaves the subspace; with --lambda."""
    weight: Annotated[float, arg(name="lambda")] = 0.0
    """Weight of the constraint."""
    targets: str = "o"
    """Kernels, separated by commas: o, down. A site feeds what writes to it: attn_out o, mlp_out down, resid_post both."""
    companions: str = ""
    """Kernels that get plain LoRA factors beside them, such as q,k,v."""
    sites: str = ""
    """Separated by commas; default: all that RUN/subspace has. A kind alone, such as resid_post: default layers."""
    rank: int | None = None
    """Of all factors; default: that of the subspaces, else 16."""
    init_scale: float = 0.1
    """Length of the rows of the output factor at the start."""
    lora_alpha: float = 32.0
    """The update is lora_alpha/rank times the product of the factors."""
    dropout: float = 0.1
    """Of what enters the factors, in training."""
    preset: Preset | None = None
    """paper: a random A without compensation, and a constraint that is not divided by the size of the states."""
    merge: bool = False
    """Write RUN/adapters/NAME/model too, a whole model in Hugging Face layout."""
    name: str | None = None
    """Of the adapter; default: made of init and seed."""
    seed: int = 0
    """Of order, random factors and controls."""
    overrides: Overrides = ()
    """Values such as train.learning_rate=1e-3, answers.new_tokens=64 or mesh.tensor=8 (docs/sae.md)."""
    resume: bool = False
    """Continue from the last checkpoint."""

    def run(self) -> None:
        from jaxtrunc.recipes.sae.adapt import Request, adapt

        settings = {"a_init": self.a_init, "freeze_b": self.freeze_b, "postnorm": self.postnorm, "targets": words(self.targets),
                    "companions": words(self.companions), "rank": self.rank, "init_scale": self.init_scale,
                    "lora_alpha": self.lora_alpha, "dropout": self.dropout, "constraint": self.constraint,
                    "constraint_factor": self.weight}
        request = Request(self.init, words(self.sites), self.seed, self.preset, self.name, self.merge)
        adapt(self.base_model, self.data, self.eval, self.out_path, request, settings, self.overrides, resume=self.resume)


@dataclass(kw_only=True)
class SaeSteer(Verb):
    """The causal check: multiply the chosen features of the base model by γ and count refusals. Writes RUN/steering/SITE.json.

    Example:  jaxtrunc sae steer --base-model models/small --site resid_post.1 --eval eval.jsonl --out-path runs/mine
    """

    together = False

    base_model: Ref
    """The model of the features."""
    site: SiteName
    """One that features were chosen at."""
    eval: Path
    """Rows with prompt, expected (refuse, comply) and set."""
    out_path: Path
    """Directory of the run."""
    gammas: str = "0,0.5,1,1.5,2,2.5"
    """Strengths; 1 leaves everything as it is."""
    overrides: Overrides = ()
    """Values such as answers.new_tokens=64."""

    def run(self) -> None:
        from jaxtrunc.recipes.sae.steer import steer

        steer(self.base_model, self.site, self.eval, self.out_path, numbers("--gammas", self.gammas, float), self.overrides)


@dataclass(kw_only=True)
class SaeReport(Verb):
    """Write results.json, report.md and report.html of a run anew from what is in it, and print the table.

    Example:  jaxtrunc sae report runs/mine
    """

    together = False

    path: Annotated[Positional[Path], arg(metavar="RUN")]
    """Run directory of the other verbs."""

    def run(self) -> None:
        from jaxtrunc.recipes.sae.report import report

        report(self.path)


SAE_VERBS: dict[str, type[Verb]] = {
    "run": SaeRun, "train": SaeTrain, "features": SaeFeatures, "subspace": SaeSubspace, "adapt": SaeAdapt, "steer": SaeSteer,
    "report": SaeReport,
}
