"""Runs on real ptys: many at once, every fault, and nothing left behind."""

import os
import threading
import time
from collections.abc import Callable

import pytest

import atprobe
from atprobe.discover import Scan
from atprobe.emulator import Emulator, Fault, Spec
from atprobe.fingerprint import Outcome, Target, probe, record
from atprobe.knowledge import Knowledge, load
from atprobe.link import Holder, NotReadingError, PortError, _holders, open_port
from atprobe.model import Device, Exchange, Port, ProblemKind, Transcript, Truth
from tests.buses import Manager, environment, managed, modem

IMEI = "861364040000000"
MODULE = Transcript(
    "em06",
    "bytes",
    Truth(),
    (
        Exchange("AT", ("AT", "OK")),
        Exchange("ATI", ("ATI", "Quectel", "EM06", "Revision: EM06ALAR03A05M4G", "", "OK")),
        Exchange("AT+QGMR", ("AT+QGMR", "EM06ALAR03A05M4G_01.005.01.005", "", "OK")),
        Exchange("AT+CGSN", ("AT+CGSN", IMEI, "", "OK")),
    ),
)


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load()


def target(*paths: str) -> Target:
    return Target(Device("uart", tuple(Port(path) for path in paths)), paths)


def run(knowledge: Knowledge, *specs: Spec, timeout: float = 3.0, surfaces: bool = True) -> Outcome:
    with Emulator(list(specs)) as emulator:
        outcome = probe([target(port) for port in emulator.ports], knowledge, timeout=timeout, surfaces=surfaces)
        for port in emulator.ports:
            if not any(problem.port == port for problem in outcome.problems):
                open_port(port).close()  # free again
    return outcome


def test_one_module(knowledge: Knowledge) -> None:
    outcome = run(knowledge, Spec(MODULE, latency=0.01), surfaces=False)
    (module,) = outcome.modules
    identity = module.identity
    assert outcome.problems == ()
    assert (identity.maker, identity.model, identity.firmware) == ("quectel", "EM06", "EM06ALAR03A05M4G")
    assert (identity.build, identity.imei) == ("EM06ALAR03A05M4G_01.005.01.005", IMEI)
    assert module.device.ports[0].probed
    assert module.timing.commands == 4
    assert 0.04 <= module.timing.module_seconds <= module.timing.seconds


@pytest.mark.parametrize("fault", [Fault.URC_STORM, Fault.NO_FINAL, Fault.ECHO_TWICE, Fault.LATE])
def test_a_troublesome_module_is_still_known(knowledge: Knowledge, fault: Fault) -> None:
    outcome = run(knowledge, Spec(MODULE, frozenset({fault}), late_by=1.2), timeout=1.0)
    (module,) = outcome.modules
    assert outcome.problems == ()
    assert (module.identity.maker, module.identity.model) == ("quectel", "EM06")
    assert module.identity.imei == IMEI
    assert module.identity.conflicts == ()


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.MUTE, ProblemKind.SILENT),
        (Fault.NMEA, ProblemKind.NMEA),
        (Fault.DIAG, ProblemKind.BINARY),
        (Fault.HANGUP, ProblemKind.VANISHED),
    ],
)
def test_a_port_that_cannot_be_probed_says_why_and_harms_no_other(
    knowledge: Knowledge, fault: Fault, kind: ProblemKind
) -> None:
    outcome = run(knowledge, Spec(MODULE), Spec(MODULE, frozenset({fault})), Spec(MODULE))
    assert [module.identity.model for module in outcome.modules][:2] == ["EM06", "EM06"]
    (problem,) = outcome.problems
    assert problem.kind is kind
    assert problem.hint


def test_garbled_answers_never_give_a_wrong_maker(knowledge: Knowledge) -> None:
    specs = [
        Spec(Transcript(f"g{number}", "bytes", Truth(), MODULE.exchanges), frozenset({Fault.GARBLE}))
        for number in range(20)
    ]
    outcome = run(knowledge, *specs, timeout=0.5, surfaces=False)
    assert {module.identity.maker for module in outcome.modules} <= {None, "quectel"}
    assert len(outcome.problems) + len(outcome.modules) >= 20


def test_sixty_ports_at_once(knowledge: Knowledge) -> None:
    outcome = run(knowledge, *[Spec(MODULE, latency=0.02)] * 60)
    assert [module.identity.model for module in outcome.modules] == ["EM06"] * 60
    # One after the other would take the module's time sixty-fold.
    assert sum(module.timing.module_seconds for module in outcome.modules) >= 60 * 4 * 0.02


def test_ports_that_cannot_be_opened(knowledge: Knowledge) -> None:
    with Emulator([Spec(MODULE)]) as emulator:
        (port,) = emulator.ports
        held = open_port(port)
        outcome = probe([target("/dev/ttyNOSUCH0"), target(port), target("/dev/null")], knowledge)
        held.close()
    assert [problem.kind for problem in outcome.problems] == [
        ProblemKind.MISSING,
        ProblemKind.BUSY,
        ProblemKind.UNUSABLE,
    ]
    assert outcome.modules == ()


def test_the_next_port_of_a_device_is_tried(knowledge: Knowledge) -> None:
    with Emulator([Spec(MODULE, frozenset({Fault.MUTE})), Spec(MODULE)]) as emulator:
        outcome = probe([target(*emulator.ports)], knowledge, timeout=0.2)
    (module,) = outcome.modules
    assert [port.probed for port in module.device.ports] == [False, True]
    assert outcome.problems == ()


def test_a_module_that_stops_half_way_is_reported_with_what_it_said(knowledge: Knowledge) -> None:
    exchanges = (MODULE.exchanges[1], *(Exchange(send, ()) for send in ("AT+QGMR", "AT+CGSN")))
    once = Transcript("dies", "bytes", Truth(), (Exchange("AT", ("OK",)), Exchange("AT", ()), *exchanges))
    outcome = run(knowledge, Spec(once), timeout=0.3)
    (module,) = outcome.modules
    (problem,) = outcome.problems
    assert (module.identity.maker, module.identity.imei) == ("quectel", None)
    assert problem.kind is ProblemKind.SILENT


def test_stop_ends_the_run_and_frees_the_ports(knowledge: Knowledge) -> None:
    stop = threading.Event()
    with Emulator([Spec(MODULE, frozenset({Fault.MUTE}))] * 3) as emulator:
        threading.Timer(0.3, stop.set).start()
        start = time.monotonic()
        outcome = probe([target(port) for port in emulator.ports], knowledge, timeout=60, stop=stop)
        assert time.monotonic() - start < 30  # far from three deadlines
        for port in emulator.ports:
            open_port(port).close()
    assert [problem.kind for problem in outcome.problems] == [ProblemKind.INTERRUPTED] * 3


def test_progress_counts_up(knowledge: Knowledge) -> None:
    seen: list[tuple[int, int]] = []
    with Emulator([Spec(MODULE)] * 4) as emulator:
        probe([target(p) for p in emulator.ports], knowledge, on_progress=lambda done, of: seen.append((done, of)))
    assert seen[0][1] == 4
    assert seen == sorted(seen)
    assert seen[-1] == (4, 4)


def test_nothing_to_probe(knowledge: Knowledge) -> None:
    assert probe([], knowledge) == Outcome((), ())


def test_tcp(knowledge: Knowledge) -> None:
    outcome = run(knowledge, Spec(MODULE, tcp=0))
    assert outcome.modules[0].identity.imei == IMEI


def test_record_takes_personal_numbers_out(knowledge: Knowledge) -> None:
    private = "86136404" + "1234566"  # nobody's, with a serial number that is not zeros
    talk = (*MODULE.exchanges[:3], Exchange("AT+CGSN", ("AT+CGSN", private, "", "OK")))
    with Emulator([Spec(Transcript("p", "bytes", Truth(), talk))]) as emulator:
        port = emulator.ports[0]
        device = target(port).device
        hidden = record(device, port, knowledge)
        kept = record(device, port, knowledge, keep_identifiers=True)
        with pytest.raises(NotReadingError):
            record(device, port, knowledge, commands=["AT+CFUN=0"])
    assert private not in repr(hidden)
    assert IMEI in repr(hidden)
    assert private in repr(kept)
    sent = [exchange.send for exchange in hidden.exchanges]
    assert sent[:4] == ["AT", "ATI", "AT+CGSN", "AT+QGMR"]
    assert set(sent[4:]) >= {"AT+CGMI", "AT+CGMM", "AT+CGMR", "AT+CLAC"}
    assert len(set(sent)) == len(sent)
    assert hidden.exchanges[2].raw == f"AT+CGSN\r\r\n{IMEI}\r\n\r\nOK\r\n"


def test_record_of_a_mute_port(knowledge: Knowledge) -> None:
    with Emulator([Spec(MODULE, frozenset({Fault.MUTE}))]) as emulator:
        port = emulator.ports[0]
        with pytest.raises(PortError, match="did not answer"):
            record(target(port).device, port, knowledge, timeout=0.1)


def usb(*paths: str) -> Target:
    return Target(Device("usb", tuple(Port(path) for path in paths)), paths)


def test_modemmanager_stands_aside_for_the_run(knowledge: Knowledge, modem_manager: Callable[..., Manager]) -> None:
    with Emulator([Spec(MODULE, latency=0.01)] * 2) as emulator:
        names = [os.path.basename(port) for port in emulator.ports]
        fake = modem_manager(objects=managed(modem("a", names[0])), answers={"a": ["ok"]}, delay=0.3)
        with environment(DBUS_SYSTEM_BUS_ADDRESS=fake.address):
            outcome = probe([usb(port) for port in emulator.ports], knowledge)
        asked = [when for commands in emulator.log.values() for when, _ in commands]
    assert len(outcome.modules) == 2
    assert fake.said() == ["inhibit:ok", "inhibited", "release:ok"]
    assert fake.events[1][0] < min(asked) < max(asked) < fake.events[2][0]


def test_without_inhibit_what_modemmanager_manages_is_skipped(
    knowledge: Knowledge, modem_manager: Callable[..., Manager]
) -> None:
    with Emulator([Spec(MODULE)] * 3) as emulator:
        managed_ports, free_port = emulator.ports[:2], emulator.ports[2]
        fake = modem_manager(objects=managed(modem("a", os.path.basename(managed_ports[0]))), answers={"a": ["ok"]})
        with environment(DBUS_SYSTEM_BUS_ADDRESS=fake.address):
            outcome = probe([usb(*managed_ports), usb(free_port)], knowledge, inhibit=False)
            with pytest.raises(PortError, match="ModemManager manages it"):
                record(usb(*managed_ports).device, managed_ports[0], knowledge, inhibit=False)
            assert fake.said() == []
            record(usb(*managed_ports).device, managed_ports[0], knowledge)
        asked = [len(emulator.log[port]) for port in managed_ports]
    (problem,) = outcome.problems  # one for the device, not one for each of its ports
    assert (problem.port, problem.kind) == (managed_ports[0], ProblemKind.BUSY)
    assert [module.device.ports[0].path for module in outcome.modules] == [free_port]
    assert asked[0] > 0 and asked[1] == 0
    assert fake.said() == ["inhibit:ok", "inhibited", "release:ok"]


def test_the_python_api_asks_too(modem_manager: Callable[..., Manager], monkeypatch: pytest.MonkeyPatch) -> None:
    with Emulator([Spec(MODULE)]) as emulator:
        (port,) = emulator.ports
        monkeypatch.setattr("atprobe.discover.scan", lambda knowledge: Scan((usb(port).device,)))
        fake = modem_manager(objects=managed(modem("a", os.path.basename(port))), answers={"a": ["ok"]})
        with environment(DBUS_SYSTEM_BUS_ADDRESS=fake.address):
            refused = atprobe.probe(port, inhibit=False)
            assert fake.said() == []
            allowed = atprobe.probe(port)
    assert [problem.message for problem in refused.problems] == ["ModemManager manages it"]
    assert [module.identity.model for module in allowed.modules] == ["EM06"]
    assert fake.said() == ["inhibit:ok", "inhibited", "release:ok"]


def test_proc_is_walked_once_for_all_ports(knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch) -> None:
    walks = []

    def walk() -> list[int]:
        walks.append(1)
        return []

    monkeypatch.setattr(_holders, "PTYS", "/dev/nosuch/")
    monkeypatch.setattr(_holders, "processes", walk)
    outcome = run(knowledge, *[Spec(MODULE)] * 5)
    assert len(outcome.modules) == 5
    # `run` opens each port once more by itself, and that costs a walk each.
    assert len(walks) == 1 + 5


def test_a_port_that_is_held_is_reported_and_the_next_one_tried(
    knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Emulator([Spec(MODULE)] * 2) as emulator:
        first, second = emulator.ports
        monkeypatch.setattr("atprobe.link._access.holders", lambda _: {first: (Holder(712, "pppd"),)})
        outcome = probe([target(first), target(first, second)], knowledge)
        assert emulator.log[first] == []
    (problem,) = outcome.problems
    assert problem.message == "is held by pppd (pid 712)"
    assert len(outcome.modules) == 1


def test_the_rate_is_found(knowledge: Knowledge) -> None:
    with Emulator([Spec(MODULE), Spec(MODULE, frozenset({Fault.MUTE}))]) as emulator:
        outcome = probe([target(emulator.ports[0])], knowledge, baud=None)
        assert len(outcome.modules) == 1
        stop = threading.Event()
        threading.Timer(0.3, stop.set).start()
        outcome = probe([target(emulator.ports[1])], knowledge, baud=None, stop=stop)
        assert [problem.kind for problem in outcome.problems] == [ProblemKind.INTERRUPTED]
        open_port(emulator.ports[1]).close()
        assert {command for _, command in emulator.log[emulator.ports[1]]} == {"AT"}
