"""Bad inputs, made by one function per class of faults; each yields cases (`generator.case.Case`)."""

from generator import adapters, configs, headers, indexes, rows, runs, vocabularies, yamls
from generator.case import Case, Place

__all__ = ["CASES", "Case", "Place"]

CASES: list[Case] = [
    case
    for module in (headers, indexes, configs, vocabularies, rows, yamls, adapters, runs)
    for fault in module.FAULTS
    for case in fault()
]
