"""Fine-tuning: float32 masters, two Adam moments, gradient and activations, beside the base weights it started from."""

import functools

import jax
import numpy as np

from jaxtrunc.planning.activations import Batch, answer_logits_bytes, forward_bytes, kept_bytes
from jaxtrunc.planning.flops import training_step
from jaxtrunc.planning.job import LAYERS, Job, Machine, elements, stored_bytes
from jaxtrunc.planning.meshes import bytes_per_device
from jaxtrunc.planning.stage import MIB, Moment, Stage, operations
from jaxtrunc.train import TrainSettings
from jaxtrunc.train.optimiser import adamw

PROGRAM, PROGRAM_PER_LAYER = 690 * MIB, 22 * MIB
"""Of the process on two CPU cores with everything imported, and of compiling one unrolled layer; measured with tiny layers."""
VALIDATION_ROWS = 64
CHECKPOINTS = 4
"""The last two, the best, and the one being written."""


def finetune_stage(job: Job, machine: Machine) -> Stage:
    """Peak while a step runs, while validation runs, while a checkpoint is written, and while the best one is read back."""
    assert job.train is not None
    mesh, state = machine.mesh, state_bytes(job, machine)
    resident = bytes_per_device(job.params, mesh) + state
    host = PROGRAM + unreleased_bytes(job) + (PROGRAM_PER_LAYER * job.cfg.num_layers if machine.shared else 0)
    copied = state * machine.devices_per_host
    kept = copied if several_checkpoints(job.train) else 0
    return Stage("fine-tuning", f"{operations(training_step(job))} per step", (
        Moment("training step", resident + step_bytes(job, machine), host + kept),
        Moment("validation", resident + validation_bytes(job, machine), host + kept),
        Moment("checkpoint", resident, host + kept + copied),
        Moment("best weights", resident + (state if job.train.keep == "best" else 0), host + kept),
    ), _disk(job))


def several_checkpoints(settings: TrainSettings) -> bool:
    """Whether a step may follow a checkpoint: then what the allocator of the host keeps of the copies made for it counts."""
    return settings.max_steps is None or settings.max_steps > settings.checkpoint_every


def validation_bytes(job: Job, machine: Machine) -> int:
    """Per device, beside the state: on CPU the slices of all layers, and the activations of one forward pass."""
    slices = bytes_per_device(job.trained, machine.mesh) if machine.shared else 0
    return slices + gathered_bytes(job, machine) + forward_bytes(job.cfg, Batch(VALIDATION_ROWS, job.tokens, machine.mesh))


def state_bytes(job: Job, machine: Machine) -> int:
    """Per device, what a step changes: masters, two moments laid out like them, counters everywhere."""
    assert job.train is not None
    return 3 * bytes_per_device(job.trained, machine.mesh) + counter_bytes(job.train)


@functools.cache
def counter_bytes(settings: TrainSettings) -> int:
    """Of the optimiser's state, what is not a moment of a parameter."""
    parameter = {"any": jax.ShapeDtypeStruct((), np.float32)}
    state = jax.eval_shape(adamw(settings, 1, {"any": True}).init, parameter)
    return sum(leaf.dtype.itemsize for leaf in jax.tree.leaves(state)) - 2 * stored_bytes(parameter)


def step_bytes(job: Job, machine: Machine) -> int:
    """Per device, what a step holds beside its state.

    The whole gradient, and with it either its pieces by layer (at the end, when the norm is taken) or, before that, the copied
    slices of the weights and what the backward pass needs.
    """
    assert job.train is not None
    settings = job.train
    batch = Batch(settings.batch_size // settings.accumulation, job.tokens, machine.mesh)
    kept = kept_bytes(job.cfg, batch, remat=settings.remat, scans=not machine.shared) + answer_logits_bytes(job.cfg, batch)
    kept += gathered_bytes(job, machine)
    gradient = bytes_per_device(job.trained, machine.mesh)
    held = gradient if settings.accumulation > 1 else 0  # the sum over parts
    return held + gradient + max(gradient, kept)


def gathered_bytes(job: Job, machine: Machine) -> int:
    """The kernels of the layer in turn, in float32 and whole along fsdp, where layers are scanned."""
    if machine.shared or machine.mesh.fsdp == 1:
        return 0
    layers = elements({path: leaf for path, leaf in job.params.items() if path.startswith(LAYERS)})
    return 4 * layers // job.cfg.num_layers // machine.mesh.tensor


def unreleased_bytes(job: Job) -> int:
    """Pages of the checkpoint that stay mapped after loading: leaves that are not stacked."""
    return stored_bytes({path: leaf for path, leaf in job.leaves.items() if not path.startswith(LAYERS)})


def _disk(job: Job) -> int:
    """The model in float32, and checkpoints of masters and moments."""
    return 4 * elements(job.params) + CHECKPOINTS * 3 * 4 * elements(job.trained)
