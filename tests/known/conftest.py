"""The building blocks of the known answers, trained once a session."""

from pathlib import Path

import known_rows as rows
import pytest
from known_cases import Workshop
from known_updates import Update


@pytest.fixture(scope="session")
def workshop(tmp_path_factory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("known"))


@pytest.fixture(scope="session")
def judged(tmp_path_factory) -> Path:
    """The task file on which all but the boundary case are judged."""
    return rows.write_task(tmp_path_factory.mktemp("judged"), "judged", rows.judged_rows(600, 1000, 3), ("validation", "test"))


@pytest.fixture(scope="session")
def task_update(workshop) -> Update:
    return workshop.finetuned("task", rows.task_rows(6400, 1), 200)
