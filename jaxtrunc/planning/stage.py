"""One stage of a run: what it computes, what it holds at its fullest moments, what it leaves on disk."""

from dataclasses import dataclass

from jaxtrunc.planning.job import Machine

MIB = 2**20


@dataclass(frozen=True)
class Moment:
    """What is held at the same time, bytes: on each device, and on each host beside its devices."""

    what: str
    device: int
    host: int


@dataclass(frozen=True)
class Stage:
    """A stage.

    Attributes:
      work: operations, in words, since some are per step and some per prompt.
      disk: bytes it leaves, or at most needs, in the run directory.
    """

    name: str
    work: str
    moments: tuple[Moment, ...]
    disk: int

    def device_peak(self) -> int:
        """Bytes on each device."""
        return max(moment.device for moment in self.moments)

    def host_peak(self, machine: Machine) -> tuple[int, str]:
        """Bytes of the process on each host, with what its CPU devices hold, and at which moment."""
        devices = machine.devices_per_host if machine.shared else 0
        return max((moment.host + devices * moment.device, moment.what) for moment in self.moments)


def operations(count: float) -> str:
    """`1.47 TFLOP`."""
    for unit, size in (("EFLOP", 1e18), ("PFLOP", 1e15), ("TFLOP", 1e12), ("GFLOP", 1e9)):
        if count >= size:
            return f"{count / size:,.3g} {unit}"
    return f"{count / 1e6:,.3g} MFLOP"
