"""The schema of `jaxtrunc sae run CONFIG`; values live in YAML files in configs/sae/. Paths are relative to the config file."""

from dataclasses import dataclass, field

from jaxtrunc.config import MeshSettings
from jaxtrunc.recipes.sae.settings import FeatureSettings, Init, Preset, SubspaceSettings


@dataclass(frozen=True)
class RefusalSources:
    """Files that the rows of a refusal study are made from (`jaxtrunc/data/refusal_rows.py`).

    Attributes:
      advbench: rows with goal and target.
      xstest: rows with prompt and label (safe, unsafe).
      instructions: rows with instruction, input, output.
      ratio: instructions per refusal in training.
    """

    advbench: str
    xstest: str
    instructions: tuple[str, ...] = ()
    ratio: float = 0.25


@dataclass(frozen=True)
class SaeData:
    """Rows. Either `refusals`, or all of `pairs`, `train` and `questions`.

    Attributes:
      text: rows with text, to train autoencoders on; with `refusals` their conversations are added.
      pairs: rows with prompt, response and label or rating.
      train: rows with prompt and response.
      questions: rows with prompt, expected and set.
      refusals: makes the three of them from public sets.
    """

    text: tuple[str, ...] = ()
    pairs: str | None = None
    train: str | None = None
    questions: str | None = None
    refusals: RefusalSources | None = None


@dataclass(frozen=True)
class AdapterEntry:
    """One kind of adapter.

    Attributes:
      init: where its output factor begins: subspace, a control of the same rank, or lora (zero).
      adapt: replaces values of the section adapt, such as {freeze_b: true}.
    """

    init: Init
    adapt: dict = field(default_factory=dict)


@dataclass(frozen=True)
class SaeConfig:
    """Everything that `jaxtrunc sae run` needs.

    Attributes:
      name: the default output directory is runs/NAME.
      base_model: directory, org/name or org/name@revision.
      sites: where autoencoders are, and what adapters of their layers begin in; a kind alone, such as resid_post, stands for the
        published layers of its model, else for four from 20% to 80% of the depth.
      autoencoders: site → directory of one that is there already; the others are trained.
      data: rows, or what they are made from.
      sae: of autoencoders that are trained; n is 8 times the width of the site unless given.
      text: how their text is read.
      features: how they are chosen.
      subspace: how they span one.
      adapt: of all adapters; the rank is that of the subspaces.
      train: of all adapters; the seed is that of each.
      answers: how questions are asked.
      adapters: each is trained once per seed.
      seeds: of order, random factors and controls; three are the least that shows what chance does.
      mesh: sizes of the compute mesh (docs/config.md); a large model wants its weights divided.
      preset: paper: what arXiv 2512.23260 does where it differs from the defaults here.
      gammas: strengths of the causal check, in which the chosen features of the base model are multiplied by them; none: no check.
      merge: write each adapter as a whole model too.
      out_path: where to write; null: runs/NAME.
    """

    name: str
    base_model: str
    sites: tuple[str, ...]
    data: SaeData
    autoencoders: dict = field(default_factory=dict)
    sae: dict = field(default_factory=dict)
    text: dict = field(default_factory=dict)
    features: FeatureSettings = field(default_factory=FeatureSettings)
    subspace: SubspaceSettings = field(default_factory=SubspaceSettings)
    adapt: dict = field(default_factory=dict)
    train: dict = field(default_factory=dict)
    answers: dict = field(default_factory=dict)
    adapters: tuple[AdapterEntry, ...] = (AdapterEntry("subspace"), AdapterEntry("lora"))
    seeds: tuple[int, ...] = (0, 1, 2)
    gammas: tuple[float, ...] = ()
    mesh: MeshSettings = field(default_factory=MeshSettings)
    preset: Preset | None = None
    merge: bool = False
    out_path: str | None = None
