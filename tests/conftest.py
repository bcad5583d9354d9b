"""Nothing a test does reaches the state folder of the person who runs it, or the system's message bus."""

import os
import signal
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


@pytest.fixture(scope="session", autouse=True)
def _signals_arrive() -> None:
    """Who runs the tests in the background, or under nohup, ignores signals, and what a test starts would do so too."""
    for name, handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture
def modem_manager(tmp_path: Path) -> Iterator[Callable[..., Manager]]:
    """Starts a fake ModemManager on a bus of its own."""
    with fakes(tmp_path) as start:
        yield start
