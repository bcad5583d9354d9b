"""Nothing a test does reaches the state folder of the person who runs it."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = os.environ.get("ATPROBE_STATE_DIR")
    os.environ["ATPROBE_STATE_DIR"] = str(tmp_path_factory.mktemp("state"))
    yield
    if before is None:
        del os.environ["ATPROBE_STATE_DIR"]
    else:
        os.environ["ATPROBE_STATE_DIR"] = before
