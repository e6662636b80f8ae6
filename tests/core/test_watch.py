"""The watch over other processes, with a key-value store in memory and peers that beat or fall silent."""

import itertools
import threading

import pytest

from jaxtrunc.core import watch

INTERVAL = 0.02
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # threads end by force here


class Store(dict):
    """What the coordination service offers; `beating` are the peers that give a new beat at every look."""

    def __init__(self, beating: tuple[int, ...]):
        super().__init__()
        self.beating, self.beats = beating, itertools.count(1)

    def key_value_set(self, key, value, allow_overwrite=False):
        self[key] = value

    def key_value_try_get(self, key):
        return self[key]

    def key_value_dir_get(self, folder):
        for peer in self.beating:
            self[f"{watch.BEAT}{peer}"] = str(next(self.beats))
        return [(key, value) for key, value in list(self.items()) if key.startswith(folder)]


@pytest.fixture
def left(monkeypatch):
    """(reason, code) of the process that would have ended, and the event that it did."""
    said, ended = [], threading.Event()

    def leave(reason, code):
        said.append((reason, code))
        ended.set()
        raise SystemExit  # ends the thread, as the process would have ended

    monkeypatch.setattr(watch, "INTERVAL", INTERVAL)
    monkeypatch.setattr(watch, "_leave", leave)
    return said, ended


def watching(store, timeout=0.3):
    for peer in (1, 2):
        store.setdefault(f"{watch.NAME}{peer}", f"process {peer} on there")
    return watch.Watch(store, 0, 3, "here", timeout)


def test_who_has_failed_alone_learns_soon_that_all_others_live(left):
    eye = watching(Store(beating=(1, 2)), timeout=1000)
    eye.wait_for_reason()  # 3000 s were it not for their beats
    eye.close()
    assert left[0] == []


def test_who_has_failed_since_a_peer_is_gone_waits_until_it_is_found(left):
    said, ended = left
    eye = watching(Store(beating=(1,)))
    eye.wait_for_reason()
    assert ended.is_set()
    (reason, code), = said
    assert "process 2 on there has not answered" in reason and "--resume" in reason and code == 3


def test_a_store_that_is_gone_holds_nobody_up(left, monkeypatch):
    store = Store(beating=())
    eye = watching(store, timeout=1000)
    monkeypatch.setattr(store, "key_value_dir_get", lambda folder: (_ for _ in ()).throw(RuntimeError("unavailable")))
    eye.wait_for_reason()
    eye.close()
