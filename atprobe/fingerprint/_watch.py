"""Identifying modules as they are plugged in."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from atprobe import discover
from atprobe.discover import Change, Choice
from atprobe.fingerprint._probe import MAX_THREADS, Outcome, Target
from atprobe.knowledge import Knowledge
from atprobe.model import Device, Event, EventKind, Module, ProblemKind

RETRY_SECONDS = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Pauses between attempts: a module may show its ports half a minute before it answers, or someone may hold one."""
PASSING = frozenset(
    {ProblemKind.SILENT, ProblemKind.BUSY, ProblemKind.GARBLED, ProblemKind.MISSING, ProblemKind.PERMISSION}
)
"""Problems that a module which was just plugged in may have for a moment."""
OBSTACLE_SECONDS = 2.0
LEAVING_SECONDS = 1.0
"""How long the word that a device was unplugged may come after its ports failed."""
STOP_SECONDS = 0.2

Ask = Callable[[Target, threading.Event], Outcome]
"""Probes one target; setting the event ends that."""


class _Plugged:
    """One device while it is plugged in."""

    def __init__(self, device: Device, choice: Choice) -> None:
        self.device = device
        self.choice = choice
        self.gone = threading.Event()
        """Ends everything that is done for it."""
        self.module: Module | None = None


class _End:
    """No more changes will come: the watch was stopped, or `error` ended it."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


_Item = Change | tuple[_Plugged, Outcome] | _End


def watch(
    knowledge: Knowledge,
    choose: Callable[[Device], Choice | None],
    ask: Ask,
    stop: threading.Event,
    changes: Callable[[Knowledge, threading.Event], Iterator[Change]] = discover.changes,
) -> Iterator[Event]:
    """What is plugged in, and then what comes and goes, until `stop` is set; each module is asked as soon as it can be.

    `choose` says which devices are wanted and which of their ports may be opened; None leaves a device out. A device
    is asked again while its problems may pass, and where its ports change before it was identified. Once it has been
    unplugged nothing more is said of it.
    """
    items: queue.SimpleQueue[_Item] = queue.SimpleQueue()
    plugged: dict[str, _Plugged] = {}

    def follow() -> None:
        try:
            for change in changes(knowledge, stop):
                items.put(change)
            items.put(_End())
        except BaseException as error:  # a thread has no caller
            items.put(_End(error))

    def attend(entry: _Plugged) -> None:
        if not entry.choice.paths:
            # Drivers take a moment to bind: only what is still so after that is worth a word.
            if not entry.gone.wait(OBSTACLE_SECONDS):
                items.put((entry, Outcome((), discover.obstacles([entry.choice], knowledge))))
            return
        for pause in (*RETRY_SECONDS, None):
            outcome = ask(Target(*entry.choice), entry.gone)
            if not outcome.modules and entry.gone.wait(LEAVING_SECONDS):
                return
            items.put((entry, outcome))
            if outcome.modules or pause is None or not any(each.kind in PASSING for each in outcome.problems):
                return
            if entry.gone.wait(pause):
                return

    with ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="watch") as pool:
        threading.Thread(target=follow, name="watch", daemon=True).start()
        try:
            while not stop.is_set():
                try:
                    item = items.get(timeout=STOP_SECONDS)
                except queue.Empty:
                    continue
                if isinstance(item, _End):
                    if item.error is not None:
                        raise item.error
                    return
                if isinstance(item, Change):
                    yield from _changed(item, plugged, choose, lambda entry: pool.submit(attend, entry))
                else:
                    yield from _answered(*item)
        finally:
            for entry in plugged.values():
                entry.gone.set()


def _changed(
    change: Change,
    plugged: dict[str, _Plugged],
    choose: Callable[[Device], Choice | None],
    start: Callable[[_Plugged], object],
) -> Iterator[Event]:
    place = change.device.place
    before = plugged.pop(place, None)
    choice = choose(change.device) if change.came else None
    if choice is None:
        if before is not None:
            before.gone.set()
            yield Event(EventKind.REMOVED, before.device, before.module)
        return
    yield Event(EventKind.ADDED, change.device)
    if before is not None and (before.module is not None or before.choice.paths == choice.paths):
        # What was found out, or is being found out, stands.
        before.device, before.choice = change.device, choice
        plugged[place] = before
        return
    if before is not None:
        before.gone.set()
    entry = plugged[place] = _Plugged(change.device, choice)
    start(entry)


def _answered(entry: _Plugged, outcome: Outcome) -> Iterator[Event]:
    if entry.gone.is_set():
        return
    for module in outcome.modules:
        entry.module = module
        yield Event(EventKind.IDENTIFIED, module.device, module, outcome.problems)
    if outcome.problems and not outcome.modules:
        yield Event(EventKind.FAILED, entry.device, problems=outcome.problems)
