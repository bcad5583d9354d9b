"""Nothing a test does reaches the state folder of the person who runs it, or the system's message bus."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.buses import Manager, fakes


@pytest.fixture(scope="session", autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = os.environ.get("ATPROBE_STATE_DIR")
    os.environ["ATPROBE_STATE_DIR"] = str(tmp_path_factory.mktemp("state"))
    yield
    if before is None:
        del os.environ["ATPROBE_STATE_DIR"]
    else:
        os.environ["ATPROBE_STATE_DIR"] = before


@pytest.fixture(scope="session", autouse=True)
def _no_system_bus() -> Iterator[None]:
    before = os.environ.get("DBUS_SYSTEM_BUS_ADDRESS")
    os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = "unix:path=/nosuch/bus"
    yield
    if before is None:
        del os.environ["DBUS_SYSTEM_BUS_ADDRESS"]
    else:
        os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = before


@pytest.fixture
def modem_manager(tmp_path: Path) -> Iterator[Callable[..., Manager]]:
    """Starts a fake ModemManager on a bus of its own."""
    with fakes(tmp_path) as start:
        yield start
