"""Many ports at once: open, interview, close; every port on its own, so that one that hangs delays no other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Container, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TypedDict

from atprobe.at import normalise
from atprobe.fingerprint._interview import Interview
from atprobe.fingerprint._redact import without_identifiers
from atprobe.knowledge import Knowledge
from atprobe.link import (
    DEFAULT_BAUD,
    DEFAULT_TIMEOUT,
    Access,
    NotReadingError,
    PortError,
    Session,
    Stopped,
    access,
)
from atprobe.model import (
    Device,
    Exchange,
    Identity,
    Module,
    Problem,
    ProblemKind,
    Reply,
    Timing,
    Transcript,
    Truth,
)

MAX_THREADS = 64
"""Ports that are asked at the same time; more wait for their turn."""

Progress = Callable[[int, int], None]
"""Called with how many ports are done and how many there are."""


@dataclass(frozen=True, slots=True)
class Target:
    """A device and the paths of its ports to try, in order; the first that answers is the one."""

    device: Device
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The modules that answered, in the order of the targets, and what stood in the way elsewhere."""

    modules: tuple[Module, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class _Settings:
    """What is the same for every port of a run."""

    knowledge: Knowledge
    timeout: float
    surfaces: bool
    access: Access


def probe(
    targets: Sequence[Target],
    knowledge: Knowledge,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    baud: int | None = DEFAULT_BAUD,
    inhibit: bool = True,
    surfaces: bool = True,
    on_progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> Outcome:
    """Identify the module behind each target, all at once. Sends reading commands only.

    `timeout`: seconds a module may take for one answer. `baud`: line rate in bit/s for real serial lines; None
    finds it. `inhibit`: ask ModemManager to leave its devices alone meanwhile; otherwise they are not opened.
    `surfaces`: ask for the state of the remote-update features too.
    Setting `stop` ends the run: ports are closed, and those not done are reported as interrupted. What goes
    wrong with a port is returned as a Problem; nothing is raised for it.
    """
    targets = [target for target in targets if target.paths]
    if not targets:
        return Outcome((), ())
    stop = stop or threading.Event()
    devices, paths = [target.device for target in targets], [path for target in targets for path in target.paths]
    with access(devices, paths, baud=baud, inhibit=inhibit, stop=stop) as way:
        settings = _Settings(knowledge, timeout, surfaces, way)
        with ThreadPoolExecutor(min(len(targets), MAX_THREADS), thread_name_prefix="port") as pool:
            futures = [pool.submit(_probe_one, target, settings) for target in targets]
            try:
                _follow(futures, on_progress)
            except BaseException:
                stop.set()
                raise
    results = [future.result() for future in futures]
    return Outcome(
        tuple(module for module, _ in results if module is not None),
        tuple(problem for _, problems in results for problem in problems),
    )


def record(
    device: Device,
    path: str,
    knowledge: Knowledge,
    *,
    commands: Sequence[str] = (),
    keep_identifiers: bool = False,
    timeout: float = DEFAULT_TIMEOUT,
    baud: int | None = DEFAULT_BAUD,
    inhibit: bool = True,
    stop: threading.Event | None = None,
) -> Transcript:
    """Hold the conversation a probe would hold, ask what it left out, and return all of it.

    What it left out: the other standard commands, those of the maker found, and the given `commands`. Numbers that
    name a person or a unit are hidden (see `without_identifiers`) unless `keep_identifiers`. For `timeout`, `baud`,
    `inhibit` and `stop` see `probe`. Raises PortError, Stopped, and NotReadingError before a byte is written where
    one of `commands` is not known to read.
    """
    for line in commands:
        if normalise(line) not in knowledge.reading:
            raise NotReadingError(line)
    stop = stop or threading.Event()
    with access([device], [path], baud=baud, inhibit=inhibit, stop=stop) as way:
        transport = way.open(device, path)
        try:
            session = Session(transport, **manners(knowledge, timeout, stop))
            session.wake()
            interview = Interview(knowledge, device.usb)
            identity = interview.run(session.ask)
            for command in interview.left():
                session.ask(command.send, command.seconds)
            interview.survey(session.ask)
            for line in commands:
                session.ask(line)
            exchanges = session.exchanges
        finally:
            transport.close()
    hide: Callable[[str], str] = (lambda text: text) if keep_identifiers else without_identifiers
    return Transcript(
        id=hide(f"{identity.maker or 'unknown'}-{(identity.model or 'module').lower()}"),
        fidelity="bytes",
        truth=Truth(),
        exchanges=tuple(
            Exchange(e.send, tuple(hide(line) for line in e.recv), hide(e.raw) if e.raw is not None else None)
            for e in exchanges
        ),
        usb=replace(device.usb, serial=None) if device.usb else None,
    )


def _follow(futures: Sequence[Future[tuple[Module | None, tuple[Problem, ...]]]], on_progress: Progress | None) -> None:
    pending = set(futures)
    while pending:
        if on_progress is not None:
            on_progress(len(futures) - len(pending), len(futures))
        # A wait without a timeout would keep Ctrl-C out on some platforms.
        _, pending = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
    if on_progress is not None:
        on_progress(len(futures), len(futures))


def _probe_one(target: Target, settings: _Settings) -> tuple[Module | None, tuple[Problem, ...]]:
    problems: list[Problem] = []
    for path in target.paths if target.device not in settings.access.clearance.refused else target.paths[:1]:
        module, problem = _probe_port(target.device, path, settings)
        if module is not None:
            return module, (problem,) if problem else ()
        if problem is not None:
            problems.append(problem)
    return None, tuple(problems)


def _probe_port(device: Device, path: str, settings: _Settings) -> tuple[Module | None, Problem | None]:
    """The module behind one port; with a problem beside it where the conversation broke off half-way."""
    interview = Interview(settings.knowledge, device.usb)
    session: Session | None = None
    problem: Problem | None = None
    start = time.monotonic()
    try:
        transport = settings.access.open(device, path)
        start = time.monotonic()
        try:
            session = Session(transport, **manners(settings.knowledge, settings.timeout, settings.access.stop))
            session.wake()
            interview.run(session.ask)
            if settings.surfaces:
                interview.survey(session.ask)
        finally:
            transport.close()
    except PortError as error:
        problem = error.problem()
    except Stopped:
        problem = PortError(ProblemKind.INTERRUPTED, path, "was not finished when the run was stopped").problem()
    if session is None or (problem is not None and interview.identity == Identity()):
        return None, problem
    if problem is not None and not _heard(session.replies):
        return None, problem
    ports = tuple(replace(port, probed=port.path == path) for port in device.ports)
    timing = Timing(round(time.monotonic() - start, 4), len(session.replies), round(session.module_seconds, 4))
    surfaces = interview.surfaces if settings.surfaces else ()
    return Module(replace(device, ports=ports), interview.identity, timing, surfaces), problem


def _heard(replies: Sequence[Reply]) -> bool:
    """Whether the module answered anything beyond AT before the conversation broke off."""
    return any(reply.text and reply.command != "AT" for reply in replies)


class Manners(TypedDict):
    """What a session has to know of the profiles and the run."""

    reading: Container[str]
    unsolicited: tuple[str, ...]
    redact: tuple[str, ...]
    forbidden: Callable[[str], bool]
    timeout: float
    stop: threading.Event | None


def manners(knowledge: Knowledge, timeout: float, stop: threading.Event | None) -> Manners:
    """How to talk to any module: the keyword arguments of every session."""
    return {
        "reading": knowledge.reading,
        "unsolicited": knowledge.unsolicited,
        "redact": knowledge.redact,
        "forbidden": knowledge.forbids,
        "timeout": timeout,
        "stop": stop,
    }
