"""Verbs that look at a machine, a plan or a model, and run none."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from jaxtrunc.config import DecomposeSettings
from jaxtrunc.core.errors import InputError
from jaxtrunc.verbs.verb import Exclude, Include, Overrides, Verb, numbers


@dataclass(kw_only=True)
class Plan(Verb):
    """Say what a run will take, before it is paid for: operations, memory and disk of every stage, and whether it fits.

    Reads config.json and the headers of the weights, never the weights. Exit code 0: it fits, 1: it does not.

    Example:  jaxtrunc plan --base-model Qwen/Qwen2.5-7B-Instruct --mesh data=1,fsdp=8,tensor=1 --device-memory 80GiB
    """

    together = False

    config: Positional[Path | None] = None
    """YAML file as for `run`, or a grid as for `study`; or leave it out and give --base-model."""
    overrides: Overrides = ()
    """Values that replace those of the file, such as train.batch_size=8."""
    base_model: Annotated[str | None, arg(metavar="REF")] = None
    """Local Hugging Face directory, org/name or org/name@revision."""
    model: Annotated[str | None, arg(metavar="REF")] = None
    """The fine-tuned model; left out, fine-tuning is planned too."""
    mesh: Annotated[str | None, arg(metavar="data=D,fsdp=F,tensor=T")] = None
    """The mesh to plan for, of any size; default: the config's, else the devices that are here."""
    device_memory: Annotated[str | None, arg(metavar="SIZE")] = None
    """Of each accelerator, such as 16GiB; no device is touched then. Default: that of the devices that are here."""
    host_memory: Annotated[str | None, arg(metavar="SIZE")] = None
    """Of each host; default: that of this machine."""
    tokens: int | None = None
    """Tokens of the longest prompt; default: what the task's max_text_tokens allows."""
    tflops: float | None = None
    """Of a grid: teraflops that each device sustains; then hours are printed."""
    include: Include = ()
    """As for `decompose`."""
    exclude: Exclude = ()
    """As for `decompose`."""

    def run(self) -> None:
        from jaxtrunc.recipes.plan import What, Where
        from jaxtrunc.recipes.plan_grid import plan_file

        if self.base_model and self.config and "=" in self.config.name:
            raise InputError(f"'{self.config}': with --base-model there is no config file whose values it could replace")
        chosen = DecomposeSettings(include=self.include, exclude=self.exclude)
        plan_file(What(self.config, self.overrides, self.base_model, self.model, chosen, self.tokens),
                  Where(self.mesh, self.device_memory, self.host_memory), self.tflops)


@dataclass(kw_only=True)
class Lens(Verb):
    """Audit a model from its output head alone, without running it: groups of vocabulary, odd tokens, what fine-tuning changed.

    Reads one tensor. Writes report.html, report.md, lens.json and lens.npz. What it lists are candidates, not proof.

    Example:  jaxtrunc lens Qwen/Qwen2.5-0.5B --compare Qwen/Qwen2.5-0.5B-Instruct --fail-on 'glitch>0.01,duplicates>0'
    """

    together = False

    model: Annotated[Positional[str], arg(metavar="REF")]
    """Local Hugging Face directory, org/name or org/name@revision."""
    compare: Annotated[str | None, arg(metavar="REF")] = None
    """The fine-tuned twin of the model."""
    tokenizer: Path | None = None
    """Directory of the model's tokenizer; default: the model's own, if it has one, else tokens are shown by their ids."""
    out_path: Path | None = None
    """Directory to write; refused if taken. Default: runs/NAME-lens."""
    key: str | None = None
    """Name of the head's tensor; default: lm_head.weight and the like, or the embedding it is tied to."""
    k: int = 30
    """Directions to describe."""
    m: int = 20
    """Tokens at each pole of a direction."""
    fold_norm: bool = False
    """Multiply the head by the gain of the norm before it."""
    drop_padding: bool = False
    """Leave rows that no token has out of the decomposition."""
    fast: bool = False
    """One pass over the rows even where a second would tell: right for the leading directions."""
    unused_ids: Annotated[str, arg(metavar="ID,…")] = ""
    """Tokens known not to have been trained, to compare the others with; default: padding rows, else reserved tokens."""
    redact: Annotated[Path | None, arg(metavar="FILE")] = None
    """Mask the words of this file, one a line, wherever a token would show them."""
    ids_only: bool = False
    """Show no text of any token."""
    fail_on: Annotated[str, arg(metavar="NAME>X,…")] = ""
    """Exit with 1 if a threshold is crossed: glitch, high_projection, low_projection (shares), duplicates (groups), zero_rows,
    unreachable, undecodable; with --compare also dissolved, drifted, new (poles), relative_change."""

    def run(self) -> None:
        from jaxtrunc.recipes.lens import LensRequest, lens

        lens(self.model, self.out_path, LensRequest(
            compare=self.compare, tokenizer=self.tokenizer, key=self.key, k=self.k, m=self.m, fold_norm=self.fold_norm,
            drop_padding=self.drop_padding, fast=self.fast, unused_ids=numbers("--unused-ids", self.unused_ids, int),
            redact=self.redact, ids_only=self.ids_only, fail_on=self.fail_on))


@dataclass(kw_only=True)
class Doctor(Verb):
    """Say what is here, whether it works, and what to do about what does not.

    Looks at processes, devices, memory, versions, precision, a sum over all devices, a small decomposition on every
    backend, and the current directory. Exit code 1 if something is wrong, 0 with advice otherwise.

    Example:  jaxtrunc doctor
    """

    def run(self) -> None:
        from jaxtrunc.recipes.doctor import doctor

        doctor()
