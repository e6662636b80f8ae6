"""The program: parse a verb, run it, turn what went wrong into one line and an exit code."""

import contextlib
import errno
import io
import logging
import os
import signal
import sys
import traceback
import warnings
from pathlib import Path

from jaxtrunc import __version__
from jaxtrunc.core import cluster, supervise
from jaxtrunc.core.errors import InputError, Interrupted, JaxtruncError
from jaxtrunc.core.progress import complain, set_quiet
from jaxtrunc.verbs import GROUPS, VERBS, Verb

DESCRIPTION = """What fine-tuning wrote into a model's weights.

Takes a base model and its fine-tuned twin (or makes the twin), decomposes every weight update ΔW, cuts it at many
ranks, and says with honest statistics whether cutting the tail removed a shortcut. Start with `jaxtrunc demo`."""


def main(argv: list[str] | None = None) -> None:
    """Run one verb; exits with 0 (done), 1 (failed), 2 (wrong usage or input) or 3 (interrupted, resumable)."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments == ["--version"]:
        print(f"jaxtrunc {__version__}")
        return
    debug, verb = "--debug" in arguments, None
    try:
        verb = parse(arguments)
        debug = verb.debug
        _settle(verb)
        if cluster.is_one_of_several() and type(verb).together:
            _run_together(verb, arguments)
        else:
            verb.run()
    except BaseException as error:
        sys.exit(_report(error, debug, resumes=hasattr(verb, "resume")))


def _run_together(verb: Verb, arguments: list[str]) -> None:
    """The same as one of several processes: all end together, whatever happens to one."""
    if not supervise.is_child():
        sys.exit(supervise.supervise(arguments))
    from jaxtrunc.core import processes

    watch = processes.start()
    try:
        verb.run()
    except BaseException as error:
        if not isinstance(error, JaxtruncError | KeyboardInterrupt | _Terminated):
            watch.wait_for_reason()
        code = _report(error, verb.debug, resumes=hasattr(verb, "resume"))
        watch.stop_all(f"{watch.name} stopped: {_sentence(error, hasattr(verb, 'resume'))}", code)
        os._exit(code)  # an orderly end would wait for the others
    processes.leave(watch)


def _report(error: BaseException, debug: bool, *, resumes: bool) -> int:
    """Print what went wrong in one line; returns the exit code."""
    if isinstance(error, SystemExit):
        return int(error.code or 0)
    if isinstance(error, BrokenPipeError):  # whoever reads us has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if debug:
        traceback.print_exception(error)
    complain(_sentence(error, resumes))
    return Interrupted.exit_code if isinstance(error, KeyboardInterrupt | _Terminated) else getattr(error, "exit_code", 1)


def _sentence(error: BaseException, resumes: bool) -> str:
    if isinstance(error, JaxtruncError):
        return str(error)
    if isinstance(error, KeyboardInterrupt | _Terminated):
        return "interrupted; " + ("the same command with --resume continues" if resumes else "give the same command again")
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return place + (error.strerror or str(error)) + REMEDIES.get(error.errno or 0, "")
    if "RESOURCE_EXHAUSTED" in str(error):
        return TOO_LARGE
    return f"{type(error).__name__}: {error} (a defect of jaxtrunc; --debug shows where)"


def parse(arguments: list[str]) -> Verb:
    """The verb with its options; help texts leave by SystemExit(0).

    Raises:
      InputError: the command line is not understood; one sentence instead of the parser's framed text.
    """
    import tyro

    verbs, prog, description = VERBS, "jaxtrunc", DESCRIPTION
    if arguments[:1] and arguments[0] in GROUPS:
        verbs, prog, description = GROUPS[arguments[0]], f"jaxtrunc {arguments[0]}", VERBS[arguments[0]].__doc__ or ""
        arguments = arguments[1:]
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.extras.subcommand_cli_from_dict(
                verbs, args=arguments, prog=prog, description=description, config=(tyro.conf.FlagCreatePairsOff,))
    except SystemExit as stop:
        if not stop.code:
            raise
        raise InputError(_one_sentence(said.getvalue())) from None


REMEDIES = {errno.ENOSPC: "; make room, then give the same command again (with --resume where it has it)",
            errno.EACCES: "; choose a place that you may write to and files that you may read",
            errno.EROFS: "; choose a place that can be written to"}
TOO_LARGE = "the devices have not enough memory; a smaller batch or a larger mesh may do, and `jaxtrunc plan` says what a run takes"
# The decomposition brings a thread per core; threads of BLAS underneath would fight them. Read when NumPy is loaded.
BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
QUIET = {"TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false", "TF_CPP_MIN_LOG_LEVEL": "3",
         "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1"}
# Compiled programs are kept between runs, where the user has not said where; read when JAX is loaded.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
COMPILED = {"JAX_COMPILATION_CACHE_DIR": str(CACHE / "jaxtrunc" / "compiled"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}


class _Terminated(BaseException):
    """SIGTERM, made an exception so that staged files are left in order."""


def _settle(verb: Verb) -> None:
    """Quieten the libraries, and turn a request to stop into an exception."""

    def terminate(_signal: int, _frame: object) -> None:
        raise _Terminated

    signal.signal(signal.SIGTERM, terminate)
    for name, value in (dict.fromkeys(BLAS_THREADS, "1") | COMPILED).items():
        os.environ.setdefault(name, value)
    set_quiet(verb.quiet)
    if verb.verbose:
        logging.basicConfig(level=logging.INFO, stream=sys.stderr)
        return
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    logging.getLogger("absl").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")


def _one_sentence(boxed: str) -> str:
    """The words inside the parser's frame, up to its help text, on one line."""
    lines = [line.strip("│╭╮╰╯─ \t") for line in boxed.splitlines()]
    words = []
    for line in lines:
        if line.startswith(("For full helptext", "Argument helptext")):
            break
        words += [line] if line else []
    return " ".join(" ".join(words).split()) or "the command line was not understood"

