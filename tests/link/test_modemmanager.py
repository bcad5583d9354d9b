"""Asking a fake ModemManager to stand aside, on a real message bus of the test's own."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from jeepney import DBusAddress, new_method_call
from jeepney.io.blocking import open_dbus_connection

from atprobe import link
from atprobe.link import Clearance, PortError, _holders, _modemmanager, open_port, stand_aside
from atprobe.model import Device, Port, ProblemKind
from tests.buses import MODEM, ROOT_ONLY, Manager, bus, managed, modem

Start = Callable[..., Manager]

NAME = "org.freedesktop.ModemManager1"
UID = "/sys/devices/platform/nosuch/usb1/1-2"
DEVICE = Device("usb", (Port("/dev/ttyNOSUCH2"), Port("/dev/ttyNOSUCH3")), sysfs=UID)
NAMELESS = Device("usb", (Port("/dev/ttyNOSUCH9"),), sysfs=UID)


def refusal(clearance: Clearance, device: Device = DEVICE) -> str:
    problem = clearance.problem(device, device.ports[0].path)
    assert problem is not None
    assert problem.kind is ProblemKind.BUSY
    assert problem.port == device.ports[0].path
    assert problem.hint
    return problem.message


def free(clearance: Clearance, device: Device = DEVICE) -> bool:
    return clearance.problem(device, device.ports[0].path) is None


def test_a_managed_device_is_inhibited_and_given_back(modem_manager: Start) -> None:
    fake = modem_manager(objects=managed(modem(UID, "ttyNOSUCH2", "cdc-wdm0")), answers={UID: ["ok"]})
    with stand_aside([DEVICE], address=fake.address) as clearance:
        assert free(clearance)
        assert fake.said() == ["inhibit:ok", "inhibited"]
    assert fake.said() == ["inhibit:ok", "inhibited", "release:ok"]


def test_the_uid_is_what_modemmanager_calls_it(modem_manager: Start) -> None:
    """A udev rule may have given the device a name of its own (ID_MM_PHYSDEV_UID)."""
    fake = modem_manager(objects=managed(modem("crane", "ttyNOSUCH3")), answers={"crane": ["ok"]})
    with stand_aside([DEVICE], address=fake.address) as clearance:
        assert free(clearance)
    assert {uid for _, _, uid in fake.events} == {"crane"}


def test_a_device_is_also_known_by_its_place(modem_manager: Start) -> None:
    fake = modem_manager(objects=managed(modem(UID, "cdc-wdm0")), answers={UID: ["ok"]})
    with stand_aside([NAMELESS], inhibit=False, address=fake.address) as clearance:
        assert refusal(clearance, NAMELESS) == "ModemManager manages it"
    with stand_aside([NAMELESS], address=fake.address) as clearance:
        assert free(clearance, NAMELESS)
    assert fake.said() == ["inhibit:ok", "inhibited", "release:ok"]


def test_given_back_where_the_run_fails(modem_manager: Start) -> None:
    fake = modem_manager(objects=managed(modem(UID, "ttyNOSUCH2")), answers={UID: ["ok"]})
    with pytest.raises(KeyboardInterrupt), stand_aside([DEVICE], address=fake.address):
        raise KeyboardInterrupt
    assert fake.said()[-1] == "release:ok"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_given_back_where_we_are_killed(number: int, modem_manager: Start) -> None:
    fake = modem_manager(objects=managed(modem(UID, "ttyNOSUCH2")), answers={UID: ["ok"]})
    code = """if True:
        import sys, time
        from atprobe.link import stand_aside
        from atprobe.model import Device, Port
        with stand_aside([Device("usb", (Port("/dev/ttyNOSUCH2"),))], address=sys.argv[1]):
            print("inside", flush=True)
            time.sleep(60)
    """
    with subprocess.Popen([sys.executable, "-c", code, fake.address], stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"inside\n"
        assert fake.said() == ["inhibit:ok", "inhibited"]
        client.send_signal(number)
    fake.await_event("lost")


def test_no_inhibit_asks_for_nothing(modem_manager: Start) -> None:
    fake = modem_manager(objects=managed(modem(UID, "ttyNOSUCH2")), answers={UID: ["ok"]})
    with stand_aside([DEVICE], inhibit=False, address=fake.address) as clearance:
        problem = clearance.problem(DEVICE, "/dev/ttyNOSUCH2")
        assert problem is not None
        assert "--no-inhibit" in problem.hint
    assert fake.said() == []


@pytest.mark.parametrize(("state", "asked"), [(8, True), (9, True), (10, False), (11, False)])
def test_a_connection_is_not_cut(state: int, asked: bool, modem_manager: Start) -> None:
    fake = modem_manager(objects=managed(modem(UID, "ttyNOSUCH2", state=state)), answers={UID: ["ok"]})
    with stand_aside([DEVICE], address=fake.address) as clearance:
        assert free(clearance) is asked
    assert bool(fake.said()) is asked


def test_denied(modem_manager: Start) -> None:
    fake = modem_manager(ROOT_ONLY, objects=managed(modem(UID, "ttyNOSUCH2")), answers={UID: ["ok"]})
    with stand_aside([DEVICE, NAMELESS], address=fake.address) as clearance:
        assert "may not ask" in refusal(clearance)
    assert fake.said() == []


def test_denied_for_a_device_that_is_not_managed_means_nothing(modem_manager: Start) -> None:
    fake = modem_manager(ROOT_ONLY)
    with stand_aside([DEVICE], address=fake.address) as clearance:
        assert free(clearance)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("Unauthorized", "may not ask"),
        ("InProgress", "another program"),
        ("UnknownMethod", "before its version 1.10"),
        ("Failed", "did not stand aside"),
        ("nothing", "did not stand aside"),
    ],
)
def test_a_refusal_is_reported(answer: str, words: str, modem_manager: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_modemmanager, "INHIBIT_SECONDS", 0.3)
    objects = managed(modem(UID, "ttyNOSUCH2"), modem("other", "ttyNOSUCH5"))
    fake = modem_manager(objects=objects, answers={UID: [answer], "other": ["ok"]})
    other = Device("usb", (Port("/dev/ttyNOSUCH5"),))
    with stand_aside([DEVICE, other], address=fake.address) as clearance:
        assert words in refusal(clearance)
        assert free(clearance, other)
    assert "release:ok" in fake.said()


def test_a_device_that_modemmanager_does_not_have(modem_manager: Start) -> None:
    fake = modem_manager()
    with stand_aside([DEVICE], address=fake.address) as clearance:
        assert free(clearance)
    assert fake.said() == ["inhibit:NotFound"]


def test_a_device_that_is_still_being_probed_is_waited_for(modem_manager: Start, tmp_path: Path) -> None:
    port = tmp_path / "ttyNOSUCH9"
    port.touch()
    device = Device("usb", (Port(str(port)),), sysfs=UID)
    fake = modem_manager(answers={UID: [*["WrongState"] * 6, "ok"]}, holds={UID: str(port)})
    with stand_aside([device], address=fake.address) as clearance:
        assert free(clearance, device)
        assert fake.said()[-2:] in (["inhibited", "closed"], ["inhibit:ok", "inhibited"])
    assert "release:ok" in fake.said()


def test_a_device_that_is_probed_for_ever_is_left(
    modem_manager: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_modemmanager, "PROBING_SECONDS", 0.5)
    monkeypatch.setattr(_modemmanager, "IDLE_SECONDS", 60)
    fake = modem_manager(answers={UID: ["WrongState"]})
    with stand_aside([DEVICE], address=fake.address) as clearance:
        assert "still probing" in refusal(clearance)
    assert "release:ok" not in fake.said()


def test_a_device_that_was_found_to_be_no_modem(modem_manager: Start) -> None:
    """ModemManager keeps it on its list all the same, and says WrongState for ever."""
    fake = modem_manager(answers={UID: ["WrongState"]})
    start = time.monotonic()
    with stand_aside([DEVICE], address=fake.address) as clearance:
        assert free(clearance)
    assert time.monotonic() - start < 3


def test_ports_that_take_a_moment_to_close_are_waited_for(modem_manager: Start, tmp_path: Path) -> None:
    port = tmp_path / "ttyNOSUCH2"
    port.touch()
    device = Device("usb", (Port(str(port)),))
    fake = modem_manager(
        objects=managed(modem("u", "ttyNOSUCH2")), answers={"u": ["ok"]}, holds={"u": str(port)}, closing=0.4
    )
    with stand_aside([device], address=fake.address) as clearance:
        assert free(clearance, device)
        assert fake.said() == ["inhibit:ok", "inhibited", "closed"]


def test_a_port_that_is_never_closed_is_refused_when_it_is_opened(
    modem_manager: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_holders, "PTYS", "/dev/nosuch/")
    monkeypatch.setattr(_modemmanager, "CLOSING_SECONDS", 0.2)
    master, slave = os.openpty()
    path = os.ttyname(slave)
    name = os.path.basename(path)
    device = Device("usb", (Port(path),))
    fake = modem_manager(objects=managed(modem("u", name)), answers={"u": ["ok"]}, holds={"u": path}, closing=60)
    with stand_aside([device], address=fake.address) as clearance:
        assert free(clearance, device)
        with pytest.raises(PortError, match="is held by"):
            open_port(path)
    os.close(slave)
    os.close(master)


def test_many_devices_are_asked_at_once(modem_manager: Start) -> None:
    uids = [f"modem{number}" for number in range(20)]
    fake = modem_manager(
        objects=managed(*(modem(uid, f"tty{uid}") for uid in uids)), answers={uid: ["ok"] for uid in uids}
    )
    devices = [Device("usb", (Port(f"/dev/tty{uid}"),)) for uid in uids]
    with stand_aside(devices, address=fake.address) as clearance:
        assert all(free(clearance, device) for device in devices)
    assert fake.said().count("release:ok") == 20


def test_stop_ends_the_waiting(modem_manager: Start) -> None:
    fake = modem_manager(objects=managed(modem(UID, "ttyNOSUCH2")), answers={UID: ["nothing"]})
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    start = time.monotonic()
    with stand_aside([DEVICE], stop=stop, address=fake.address):
        pass
    assert time.monotonic() - start < 5


def test_nothing_is_asked_where_there_is_no_bus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_modemmanager, "_connect", lambda *_: pytest.fail("a connection was made"))
    with stand_aside([DEVICE], address=f"unix:path={tmp_path}/nosuch") as clearance:
        assert free(clearance)
    plain = [Device("uart", (Port("/dev/ttyS1"),)), Device("url", (Port("socket://192.0.2.1:1"),))]
    with stand_aside(plain, address="unix:abstract=nosuch") as clearance:
        assert clearance.refused == {}


def test_the_environment_says_where_the_bus_is(modem_manager: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = modem_manager(objects=managed(modem(UID, "ttyNOSUCH2")))
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", fake.address)
    with stand_aside([DEVICE], inhibit=False) as clearance:
        refusal(clearance)


def test_modemmanager_does_not_run_and_is_not_started(tmp_path: Path) -> None:
    started = tmp_path / "started"
    (tmp_path / "mm.service").write_text(f"[D-BUS Service]\nName={NAME}\nExec=/usr/bin/touch {started}\n")
    with bus(tmp_path, more=f"<servicedir>{tmp_path}</servicedir>") as address:
        with stand_aside([DEVICE], address=address) as clearance:
            assert free(clearance)
        assert not started.exists()
        with open_dbus_connection(bus=address) as other:  # the trap would have worked
            other.send(new_method_call(DBusAddress("/", NAME), "Any"))
            deadline = time.monotonic() + 20
            while not started.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
        assert started.exists()


def test_a_bus_that_says_nothing_does_not_hang_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_modemmanager, "CALL_SECONDS", 0.3)
    with bus(tmp_path, "") as address, stand_aside([DEVICE], address=address) as clearance:
        assert free(clearance)


def test_modemmanager_goes_away_in_the_middle(modem_manager: Start) -> None:
    fake = modem_manager(objects=managed(modem(UID, "ttyNOSUCH2")), answers={UID: ["ok"]})
    with stand_aside([DEVICE], address=fake.address) as clearance:
        fake.process.kill()
        fake.process.wait()
        assert free(clearance)


@pytest.mark.parametrize(
    "objects",
    [
        {"/x": {}},
        {"/x": {MODEM: {}}},
        {"/x": {MODEM: {"Device": ("u", 7), "Ports": ("s", "ttyNOSUCH2")}}},
        {"/x": {MODEM: {"Device": ("s", ""), "Ports": ("a(su)", [("ttyNOSUCH2", 1)])}}},
        {"/x": {MODEM: {"Device": ("s", "u"), "Ports": ("as", ["ttyNOSUCH2"])}}},
        {"/x": {MODEM: {"Device": ("s", "u"), "Ports": ("a(us)", [(1, "ttyNOSUCH2")])}}},
        {
            "/x": {
                MODEM: {"Device": ("s", "u"), "Ports": ("a{sv}", {"ttyNOSUCH2": ("s", "")}), "State": ("v", ("i", 1))}
            }
        },
        {"/x": {MODEM: {"Device": ("s", "../../\x1b[2J" + "x" * 100_000), "Physdev": ("ay", b"\0\xff")}}},
        {f"/x{number}": {f"i{number}": {"p": ("d", 0.5)}} for number in range(5000)},
    ],
)
def test_odd_values_are_not_there(objects: dict[str, object], modem_manager: Start) -> None:
    odd = dict(objects) if len(objects) > 1 else {**objects, "/good": modem("good", "ttyNOSUCH7")}
    fake = modem_manager(objects=odd, answers={"good": ["ok"]})
    good = Device("usb", (Port("/dev/ttyNOSUCH7"),))
    with stand_aside([DEVICE, good], address=fake.address) as clearance:
        assert free(clearance)
        assert free(clearance, good)


class TestWithoutAClient:
    """jeepney is not installed, or the bus does not answer: what ModemManager visibly holds is left alone."""

    @pytest.fixture
    def port(self, tmp_path: Path) -> Path:
        port = tmp_path / "ttyNOSUCH2"
        port.touch()
        return port

    @pytest.fixture
    def manager(self, port: Path) -> subprocess.Popen[bytes]:
        code = """if True:
            import sys
            open("/proc/self/comm", "w").write("ModemManager")
            port = open(sys.argv[1])
            print("ready", flush=True)
            input()
        """
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    def test_no_client(self, port: Path, manager: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "jeepney.io.blocking", None)
        device = Device("usb", (Port(str(port)),))
        with stand_aside([device, DEVICE], address="unix:abstract=nosuch") as clearance:
            problem = clearance.problem(device, str(port))
            assert problem is not None
            assert "pip install 'atprobe[modemmanager]'" in problem.hint
            assert free(clearance)
        manager.communicate(b"\n")
        with stand_aside([device], address="unix:abstract=nosuch") as clearance:
            assert free(clearance, device)

    def test_no_bus_behind_the_socket(self, port: Path, manager: subprocess.Popen[bytes]) -> None:
        device = Device("usb", (Port(str(port)),))
        with stand_aside([device], address="unix:abstract=nosuch") as clearance:
            assert "cannot be asked" in refusal(clearance, device)
        manager.communicate(b"\n")


class TestManaged:
    """What ModemManager has, without asking it for anything."""

    @pytest.mark.parametrize(("state", "connected"), [(8, False), (11, True)])
    def test_which_devices_and_whether_they_are_connected(
        self, state: int, connected: bool, modem_manager: Start
    ) -> None:
        fake = modem_manager(ROOT_ONLY, objects=managed(modem(UID, "ttyNOSUCH2", state=state)), answers={UID: ["ok"]})
        assert link.managed([DEVICE], address=fake.address) == {DEVICE: connected}
        assert fake.said() == []

    def test_none_of_ours(self, modem_manager: Start) -> None:
        fake = modem_manager(objects=managed(modem("/sys/other", "ttyOTHER1")))
        assert link.managed([DEVICE], address=fake.address) == {}

    def test_not_known_where_there_is_no_bus(self, tmp_path: Path) -> None:
        assert link.managed([DEVICE], address=f"unix:path={tmp_path / 'none'}") is None
        (tmp_path / "file").touch()
        assert link.managed([DEVICE], address=f"unix:path={tmp_path / 'file'}") is None
