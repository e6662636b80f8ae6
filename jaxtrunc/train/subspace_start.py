"""The adapter of a model whose factors begin in subspaces of the residual stream: which matrices, and with which values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jax.sharding import Mesh

from jaxtrunc.core.errors import InputError
from jaxtrunc.core.processes import fetch
from jaxtrunc.core.trees import Params, flatten
from jaxtrunc.models import DecoderConfig, abstract_params, factor_path, hf_names
from jaxtrunc.sae.adapter import divide_by_gain, initial_b, update_size
from jaxtrunc.sae.sites import Site, parse_site, writers
from jaxtrunc.train.adapt_settings import AdaptSettings
from jaxtrunc.train.lora import Adapter, Target
from jaxtrunc.train.penalty import Confined, Penalty

KERNELS = {name: f"layers/{'attn' if name in 'qkvo' else 'mlp'}/{name}_proj/kernel" for name in
           ("q", "k", "v", "o", "gate", "up", "down")}
POST_NORMS = {"o": "layers/post_attention_norm/scale", "down": "layers/post_feedforward_norm/scale"}


class Beginning(NamedTuple):
    """One matrix that begins in a subspace.

    Attributes:
      site: where the subspace was found.
      u: the subspace there, (d, r).
      basis: what B spans at the start: U, divided by the gain of a post-norm if that was asked for.
      zeroed: channels whose gain was too small to divide by.
    """

    site: str
    u: np.ndarray
    basis: np.ndarray
    zeroed: int = 0


@dataclass(frozen=True, eq=False)
class Start:
    """An adapter and its first factors, all on the host.

    Attributes:
      factors: as `train_lora` takes them.
      begins: weight name → how it begins; not of matrices with plain LoRA.
      relative_size: weight name → ‖ΔK₀‖/‖K‖ of what the adapter adds before it is trained.
    """

    adapter: Adapter
    factors: dict[str, np.ndarray]
    begins: dict[str, Beginning]
    relative_size: dict[str, float] = field(default_factory=dict)

    def penalty(self, settings: AdaptSettings, special_ids: tuple[int, ...] = ()) -> Penalty | None:
        """The constraint that the settings ask for; `output` holds the adapter to what B spans at first, the others to U."""
        if settings.constraint is None or not settings.constraint_factor:
            return None
        output = settings.constraint == "output"
        kernels = {name: target.path for target in self.adapter.targets for name in target.names}
        confined = {}
        for name, each in self.begins.items():  # two matrices of one site confine one hidden state
            kernel = kernels[name] if output else ""
            confined[each.site, kernel] = Confined(each.site, each.basis if output else each.u, kernel)
        return Penalty(settings.constraint, settings.constraint_factor, tuple(confined.values()),
                       settings.constraint_scale == "base", special_ids)


def subspace_start(params: Params, cfg: DecoderConfig, subspaces: Mapping[str, np.ndarray | None], settings: AdaptSettings,
                   seed: int, mesh: Mesh | None = None) -> Start:
    """Choose the matrices that the sites' subspaces feed, and their first factors.

    Args:
      params: of the base model; gains of post-norms and sizes of matrices are read from it.
      subspaces: site → U (hidden_size, rank), orthonormal columns; None: plain LoRA on `settings.targets` of that layer.
      seed: of the random A; the draw for a matrix depends on the seed, its name and the rank alone.

    Raises:
      InputError: a site the model does not have, a U of another shape, a matrix that does not write where U was found, two
        subspaces for one matrix, or settings that cannot be met.
    """
    chosen = _chosen(cfg, subspaces, settings)
    begins = {key: _beginning(params, cfg, key, site, u, settings.postnorm) for key, (site, u) in chosen.items() if u is not None}
    adapter = subspace_adapter(cfg, {key: key in begins for key in chosen}, settings)
    factors = {path: np.array(fetch(leaf)) for path, leaf in adapter.start(seed, mesh).items()}
    if settings.a_init == "compensated":
        factors |= {f"{path}0": np.zeros_like(leaf) for path, leaf in factors.items()}
    names, sizes = {}, {}
    for target in adapter.targets:
        for row, (layer, name) in enumerate(zip(target.layers, target.names, strict=True)):
            each = begins.get((_short(target.path), layer))
            if each is not None:
                names[name] = each
                _begin(factors, target.path, row, each.basis, settings)
                sizes[name] = _relative_size(factors, target.path, row, params, layer, settings)
    return Start(adapter, factors, names, sizes)


def check_start(cfg: DecoderConfig, sites: Iterable[str], settings: AdaptSettings, *, plain: bool) -> None:
    """Raise the `InputError` that `subspace_start` would raise for subspaces of these sites, from shapes alone.

    Args:
      plain: plain LoRA at these sites instead.
    """
    u = None if plain else np.broadcast_to(np.float32(0), (cfg.hidden_size, settings.rank))
    chosen = _chosen(cfg, dict.fromkeys(sites, u), settings)
    if not plain:
        _check_postnorm(cfg, settings.postnorm)
    subspace_adapter(cfg, dict.fromkeys(chosen, not plain), settings)


def subspace_adapter(cfg: DecoderConfig, modules: Mapping[tuple[str, int], bool], settings: AdaptSettings) -> Adapter:
    """Targets and settings of the adapter, from shapes alone.

    Args:
      modules: (name, layer) → whether that matrix begins in a subspace; companions of every layer join them.
    """
    everywhere = {(name, layer): False for name in settings.companions for layer in range(cfg.num_layers)}
    modules = everywhere | dict(modules)
    shapes, names = flatten(abstract_params(cfg)), hf_names(cfg)
    targets = []
    for name in sorted({name for name, _ in modules}):
        path, layers = KERNELS[name], tuple(sorted(layer for other, layer in modules if other == name))
        if settings.rank > min(shapes[path].shape[1:]):
            raise InputError(f"adapt: rank {settings.rank} is above the shorter side of '{name}', {min(shapes[path].shape[1:])}")
        targets.append(Target(path, shapes[path].shape, layers, tuple(names[path][layer] for layer in layers)))
    fixed = {name for (name, _), begins in modules.items() if begins} if settings.freeze_b else set()
    plain = [f"{name} of layer {layer}" for (name, layer), begins in modules.items() if name in fixed and not begins]
    if plain or (settings.freeze_b and not fixed):
        raise InputError(f"adapt: freeze_b: {plain[0] if plain else 'every matrix'} has plain LoRA, whose B begins at zero and "
                         "would stay there; leave freeze_b out, or that matrix")
    return Adapter(tuple(targets), settings.rank, settings.scale, settings.dropout, tuple(KERNELS[name] for name in sorted(fixed)))


def _chosen(cfg: DecoderConfig, subspaces: Mapping[str, np.ndarray | None], settings: AdaptSettings) -> dict[
        tuple[str, int], tuple[str, np.ndarray | None]]:
    """(name, layer) → site and U."""
    if not subspaces:
        raise InputError("adapt: no site is given; name at least one")
    chosen: dict[tuple[str, int], tuple[str, np.ndarray | None]] = {}
    for name, u in subspaces.items():
        site = parse_site(name)
        _check(cfg, site, u, settings.rank)
        for module in settings.targets if u is None else _fed(site, settings.targets):
            if (module, site.layer) in chosen:
                raise InputError(f"adapt: {chosen[module, site.layer][0]} and {name} would both begin '{module}' of layer "
                                 f"{site.layer}; give one of them")
            chosen[module, site.layer] = (name, u)
    idle = [module for module in settings.targets if module not in {name for name, _ in chosen}]
    if idle:
        raise InputError(f"adapt: '{idle[0]}' writes to none of the sites {', '.join(subspaces)}; leave it out of targets, or give "
                         "a site it writes to (o: attn_out, resid_post; down: mlp_out, resid_post)")
    return chosen


def _fed(site: Site, targets: tuple[str, ...]) -> list[str]:
    """The targets that write to a site."""
    found = [module for module in targets if module in writers(site)]
    if not found:
        raise InputError(f"adapt: a subspace of {site} is for {' and '.join(writers(site))} of its layer, which write there; "
                         f"targets are {', '.join(targets)}")
    return found


def _check(cfg: DecoderConfig, site: Site, u: np.ndarray | None, rank: int) -> None:
    if site.layer >= cfg.num_layers:
        raise InputError(f"site {site}: the model has the layers 0 to {cfg.num_layers - 1}")
    if u is not None and u.shape != (cfg.hidden_size, rank):
        raise InputError(f"site {site}: expected a subspace of shape {(cfg.hidden_size, rank)}, width of the model and rank, found "
                         f"{u.shape}")


def _beginning(params: Params, cfg: DecoderConfig, key: tuple[str, int], site: str, u: np.ndarray, postnorm: str) -> Beginning:
    _check_postnorm(cfg, postnorm)
    if postnorm == "ignore":
        return Beginning(site, u, u)
    gain = cfg.norm_offset + np.asarray(fetch(flatten(params)[POST_NORMS[key[0]]][key[1]]), np.float64)
    return Beginning(site, u, *divide_by_gain(u, gain))


def _check_postnorm(cfg: DecoderConfig, postnorm: str) -> None:
    if postnorm == "divide" and not cfg.sandwich_norms:
        raise InputError("adapt: postnorm divide: this model has no norm behind its output projections; leave postnorm at ignore")


def _begin(factors: dict[str, np.ndarray], kernel: str, row: int, basis: np.ndarray, settings: AdaptSettings) -> None:
    """Put the first factors of one matrix in place; A holds the random draw already."""
    a, b = (factor_path(kernel, side) for side in ("lora_a", "lora_b"))
    factors[b][row] = initial_b(basis, settings.init_scale)
    if settings.a_init == "zero":
        factors[a][row] = 0
    elif settings.a_init == "compensated":
        factors[f"{a}0"][row], factors[f"{b}0"][row] = factors[a][row], factors[b][row]


def _relative_size(factors: dict[str, np.ndarray], kernel: str, row: int, params: Params, layer: int,
                   settings: AdaptSettings) -> float:
    if settings.a_init != "random":
        return 0.0
    whole = np.linalg.norm(np.asarray(fetch(flatten(params)[kernel][layer]), np.float64))
    a, b = (factors[factor_path(kernel, side)][row] for side in ("lora_a", "lora_b"))
    return settings.scale * update_size(a, b) / float(whole)


def _short(kernel: str) -> str:
    return kernel.split("/")[-2].removesuffix("_proj")
