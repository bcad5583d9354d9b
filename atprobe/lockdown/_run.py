"""Carrying a plan out, and putting it back: journal, send, read back, restore on mismatch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby

from atprobe.fingerprint import Target
from atprobe.knowledge import Knowledge, Reboot, Values
from atprobe.link import PortError, access
from atprobe.link.writing import Consent
from atprobe.lockdown._contact import AGAIN_SECONDS, Contact, Where
from atprobe.lockdown._journal import Journal
from atprobe.lockdown._plan import rule_of
from atprobe.model import Change, Module, ModulePlan, Plan, Problem, Reply, Stage

READ_TRIES = 3
WRITE_SECONDS = 10.0
"""A module may take its time to store a setting."""
GOING_SECONDS = 10.0
"""How long after its OK a module may take to begin its restart."""

_NOT_DESCRIBED = "left alone: the profiles do not describe this setting any more"

OnStage = Callable[[Change], None]
"""Called with each change as it reaches a stage, after that is on the disk."""

Targets = Callable[[], Sequence[Target]]


@dataclass(frozen=True, slots=True)
class Moved:
    """Why a plan does not fit a module any more."""

    imei: str
    text: str


@dataclass(frozen=True, slots=True)
class Run:
    """What became of it: every change with its last stage, the modules that could not be reached, and what moved.

    `back` says that the values read before were wanted, else those of the plan.
    """

    changes: tuple[Change, ...]
    problems: tuple[Problem, ...] = ()
    moved: tuple[Moved, ...] = ()
    back: bool = False

    @property
    def failed(self) -> tuple[Change, ...]:
        """Changes that did not come to what was wanted, and whose state is known."""
        bad: set[Stage] = {Stage.DONE} if self.back else {Stage.UNCHANGED, Stage.UNDONE, Stage.REVERTED}
        return tuple(change for change in self.changes if change.stage in bad)


@dataclass(frozen=True, slots=True)
class Tools:
    """What every run needs. `targets` looks at what is attached now; `stop` ends the run between two changes."""

    knowledge: Knowledge
    journal: Journal
    targets: Targets
    timeout: float
    baud: int | None
    inhibit: bool
    stop: threading.Event
    on_stage: OnStage
    back_seconds: float
    """How long a module that went away by itself is waited for."""
    write_seconds: float = WRITE_SECONDS


def moved(plan: Plan, modules: Sequence[Module]) -> tuple[Moved, ...]:
    """What is no longer as it was when the plan was made. Empty where the plan still fits."""
    found = {module.identity.imei: module for module in modules}
    return tuple(
        Moved(planned.imei, text)
        for planned in plan.modules
        if planned.steps
        for text in _differences(planned, found.get(planned.imei))
    )


def apply(plan: Plan, modules: Sequence[Module], tools: Tools, *, reboot: bool = False) -> Run:
    """Carry a confirmed plan out on `modules`, which were just probed. Sends nothing where anything moved.

    Each module is read once more before its first change. A change that is not read back as planned is put back, with
    the others of its surface, and nothing more is sent to that module. `reboot`: restart a module afterwards where a
    change needs that and its profile says how, then read all changes again. Raises JournalError.
    """
    if different := moved(plan, modules):
        return Run((), moved=different)
    planned = tuple(each for each in plan.modules if each.steps)
    changes = tools.journal.begin(plan.id, planned)

    def one(contact: Contact, mine: list[Change], worker: _Worker) -> Iterator[Change]:
        module = contact.open()
        about = next(each for each in planned if each.imei == mine[0].imei)
        if different := list(_differences(about, module)):
            yield from worker.not_sent(mine, different[0])
            return
        results = list(worker.carry_out(mine))
        if contact.openings > 1:
            # It may have restarted, and forgotten what was read back before.
            results = [worker.again(change) if change.stage is Stage.DONE else change for change in results]
        if reboot and any(each.step.reboot == "yes" and each.stage is Stage.DONE for each in results):
            results = worker.restart(results, tools.knowledge.reboot_of(about.maker, about.model))
        yield from results

    return _each_module(changes, modules, tools, one, reboot=reboot)


def restore(changes: Sequence[Change], modules: Sequence[Module], tools: Tools) -> Run:
    """Put changes back to the values read before, newest first. What has a third value by now is left alone.

    `modules` were just probed; changes of others are left out. Raises JournalError.
    """

    def one(contact: Contact, mine: list[Change], worker: _Worker) -> Iterator[Change]:
        contact.open()
        for change in reversed(mine):
            yield change if tools.stop.is_set() else worker.restore(change)

    return _each_module(changes, modules, tools, one, back=True)


def resume(changes: Sequence[Change], modules: Sequence[Module], tools: Tools, *, undo: bool) -> Run:
    """Find out what became of changes that a crash left open, and finish them, or `undo` them with their surface.

    A change that was being put back is put back either way. `modules` were just probed. Raises JournalError.
    """

    def one(contact: Contact, mine: list[Change], worker: _Worker) -> Iterator[Change]:
        contact.open()
        back = undo or any(change.stage is Stage.UNDOING for change in mine)
        for change in reversed(mine) if back else mine:
            yield change if tools.stop.is_set() else worker.settle(change, back=back)

    return _each_module(changes, modules, tools, one, back=undo)


def _each_module(
    changes: Sequence[Change],
    modules: Sequence[Module],
    tools: Tools,
    one: Callable[[Contact, list[Change], _Worker], Iterator[Change]],
    *,
    reboot: bool = False,
    back: bool = False,
) -> Run:
    found = {module.identity.imei: module for module in modules}
    ours = [change for change in changes if change.imei in found]
    devices = [found[change.imei].device for change in ours]
    paths = [port.path for device in devices for port in device.ports]
    results: list[Change] = []
    problems: list[Problem] = []
    with access(devices, paths, baud=tools.baud, inhibit=tools.inhibit) as way:
        where = Where(tools.knowledge, way, tools.timeout, tools.write_seconds, tools.targets)
        for imei, group in groupby(sorted(ours, key=lambda change: (change.imei, change.id)), lambda c: c.imei):
            mine = list(group)
            restart = tools.knowledge.reboot_of(mine[0].maker, mine[0].model) if reboot else None
            lines = [line for change in mine for line in (change.step.command, change.step.undo)]
            consent = Consent([*lines, restart.send] if restart else lines)
            port = next(port.path for port in found[imei].device.ports if port.probed)
            worker = _Worker(Contact(where, imei, port, consent), tools)
            with closing(worker.contact):
                if tools.stop.is_set():
                    results += worker.not_sent(mine, "the run was stopped")
                    continue
                try:
                    results += list(one(worker.contact, mine, worker))
                except PortError as error:
                    problems.append(error.problem())
                    results += worker.left(mine, error)
    return Run(tuple(sorted(results, key=lambda change: change.id)), tuple(problems), back=back)


class _Worker:
    """Carries changes of one module out. Every stage is on the disk before the next byte is sent."""

    def __init__(self, contact: Contact, tools: Tools) -> None:
        self.contact = contact
        self._tools = tools
        self._noted: dict[int, Change] = {}

    def carry_out(self, changes: Sequence[Change]) -> Iterator[Change]:
        """All changes, surface by surface; a surface is switched as a whole or put back as a whole."""
        left = list(changes)
        while left:
            surface = left[0].step.surface
            group = [change for change in left if change.step.surface == surface]
            left = [change for change in left if change.step.surface != surface]
            if self._tools.stop.is_set():
                yield from self.not_sent([*group, *left], "the run was stopped")
                return
            done: list[Change] = []
            for place, change in enumerate(group):
                result = self._forward(change)
                done.append(result)
                if result.stage is not Stage.DONE:
                    why = f"{change.step.command} failed"
                    rest = self.not_sent([*group[place + 1 :], *left], why)
                    for earlier in reversed(done[:-1]):
                        yield self._back(earlier)
                    yield result
                    yield from rest
                    return
            yield from done

    def restore(self, change: Change) -> Change:
        """Put one change back, unless somebody has changed the setting since."""
        if not self._is_known(change):
            return self._note(change, change.stage, _NOT_DESCRIBED)
        values = self._read(change)
        if self._same(change, values, change.step.before):
            return self._note(change, Stage.UNDONE, "it had its old value already")
        if values is None:
            return self._note(change, Stage.UNKNOWN, "it could not be read")
        if not self._same(change, values, change.step.after) and not change.stage.is_open:
            return self._note(change, change.stage, f"left alone: it was changed by others to {_words(values)}")
        return self._back(change)

    def settle(self, change: Change, *, back: bool) -> Change:
        """Find out what became of a change and bring it to its end."""
        if not self._is_known(change):
            return self._note(change, change.stage, _NOT_DESCRIBED)
        values = self._read(change)
        if values is None:
            return self._note(change, Stage.UNKNOWN, "it could not be read")
        if self._same(change, values, change.step.before):
            if not back:
                return self._forward(change)
            undone = change.stage in (Stage.UNDOING, Stage.DONE, Stage.UNDONE)
            return self._note(change, Stage.UNDONE if undone else Stage.UNCHANGED, "found with its old value")
        if self._same(change, values, change.step.after) and not back:
            return self._note(change, Stage.DONE, "found as planned")
        return self._back(change) if back else self._forward(change)

    def restart(self, changes: list[Change], reboot: Reboot | None) -> list[Change]:
        """Restart the module, wait until it is back, and read every change that was done again."""
        if reboot is None:
            text = "takes effect at the next restart; the profile does not say how to restart it"
            return [self._note(c, Stage.DONE, text) if c.stage is Stage.DONE else c for c in changes]
        done = [self._note(c, Stage.REBOOTING) if c.stage is Stage.DONE else c for c in changes]
        try:
            self.contact.write(reboot.send)
            self._wait_until_gone()
        except PortError:
            pass  # it went at once
        self.contact.close()
        try:
            self.contact.open(max(reboot.seconds, self._tools.back_seconds))
        except PortError as error:
            text = f"the module did not come back: {error.message}"
            return [self._note(c, Stage.UNKNOWN, text) if c.stage is Stage.REBOOTING else c for c in done]
        return [self.again(c) if c.stage is Stage.REBOOTING else c for c in done]

    def again(self, change: Change) -> Change:
        """Read a change once more after the module was, or may have been, restarted."""
        values = self._read(change)
        if values is None:
            return self._note(change, Stage.UNKNOWN, "after the restart it could not be read")
        if self._same(change, values, change.step.after):
            return self._note(change, Stage.DONE, "read again after the restart")
        if self._same(change, values, change.step.before):
            return self._note(change, Stage.REVERTED, "after the restart it has its old value")
        return self._note(change, Stage.UNKNOWN, f"after the restart it reads {_words(values)}")

    def not_sent(self, changes: Sequence[Change], why: str) -> list[Change]:
        """Write down that these were not sent. Only what nobody began is of that kind."""
        return [
            self._note(change, Stage.NOT_SENT, why) if change.stage is Stage.PLANNED else change for change in changes
        ]

    def left(self, changes: Sequence[Change], error: PortError) -> list[Change]:
        """What is known of each change after the conversation broke off for good."""
        return [
            self._note(last, Stage.NOT_SENT, error.message) if last.stage is Stage.PLANNED else last
            for last in (self._noted.get(change.id, change) for change in changes)
        ]

    def _forward(self, change: Change) -> Change:
        change, reply = self._send(change, Stage.SENDING, change.step.command)
        if reply is not None and reply.final is not None:
            change = self._note(change, Stage.ANSWERED, reply.final)
        said = f"the module answered {reply.final or 'nothing'}" if reply is not None else "the port was lost"
        values = self._read(change)
        if values is None:
            return self._note(change, Stage.UNKNOWN, f"{said}; it could not be read back")
        if self._same(change, values, change.step.after):
            return self._note(change, Stage.DONE, said + _later(change))
        if self._same(change, values, change.step.before):
            return self._note(change, Stage.UNCHANGED, f"{said}; it has its old value")
        return self._back(self._note(change, Stage.ANSWERED, f"{said}; it reads {_words(values)}"))

    def _back(self, change: Change) -> Change:
        change, reply = self._send(change, Stage.UNDOING, change.step.undo)
        said = f"the module answered {reply.final or 'nothing'}" if reply is not None else "the port was lost"
        values = self._read(change)
        if values is None:
            return self._note(change, Stage.UNKNOWN, f"putting it back: {said}; it could not be read")
        if self._same(change, values, change.step.before):
            return self._note(change, Stage.UNDONE, said + _later(change))
        return self._note(change, Stage.UNKNOWN, f"putting it back: {said}; it reads {_words(values)}")

    def _send(self, change: Change, stage: Stage, line: str) -> tuple[Change, Reply | None]:
        if self.contact.is_lost:
            self.contact.open(self._tools.back_seconds)
        change = self._note(change, stage, line)
        try:
            return change, self.contact.write(line)
        except PortError:
            return change, None

    def _read(self, change: Change) -> Values | None:
        """The values the module has now; None where it does not say. A module that went away is waited for once."""
        rule = rule_of(self._tools.knowledge, change.maker, change.step)
        patience = self._tools.back_seconds
        for attempt in range(READ_TRIES):
            if attempt:
                time.sleep(AGAIN_SECONDS)  # a module that just stored something may refuse for a moment
            try:
                if self.contact.is_lost:
                    self.contact.open(patience)
                reply = self.contact.ask(change.step.read)
            except PortError:
                patience = 0.0
                continue
            values = rule.values([line.strip() for line in reply.text]) if rule and reply.ok else None
            if values is not None:
                return values
        return None

    def _is_known(self, change: Change) -> bool:
        return rule_of(self._tools.knowledge, change.maker, change.step) is not None

    def _same(self, change: Change, values: Values | None, wanted: Values) -> bool:
        rule = rule_of(self._tools.knowledge, change.maker, change.step)
        return rule is not None and values is not None and rule.same(values, wanted)

    def _note(self, change: Change, stage: Stage, detail: str | None = None) -> Change:
        change = self._tools.journal.note(change, stage, detail)
        self._noted[change.id] = change
        self._tools.on_stage(change)
        return change

    def _wait_until_gone(self) -> None:
        """After a module was told to restart: until it does not answer any more, or has had time enough."""
        deadline = time.monotonic() + GOING_SECONDS
        while time.monotonic() < deadline:
            if not self.contact.ask("AT").ok:
                return
            time.sleep(AGAIN_SECONDS)


def _differences(planned: ModulePlan, module: Module | None) -> Iterator[str]:
    if module is None:
        yield "no module with this IMEI answers"
        return
    identity = module.identity
    for what, was, now in (
        ("maker", planned.maker, identity.maker),
        ("model", planned.model, identity.model),
        ("firmware", planned.firmware, identity.build or identity.firmware),
    ):
        if was != now:
            yield f"its {what} was {was or 'unknown'} and is {now or 'unknown'}"
    switches = {surface.id: surface.switch for surface in module.surfaces}
    for step in planned.steps:
        switch = switches.get(step.surface)
        settings = [s for s in switch.settings if (s.name, s.read) == (step.setting, step.read)] if switch else []
        if not settings:
            yield f"{step.surface}: the setting that {step.command} changes can no longer be changed, or read"
        elif all(setting.undo != step.undo for setting in settings):
            yield f"{step.surface}: it was {_words(step.before)} and is {_words(settings[0].values)}"


def _later(change: Change) -> str:
    return "; it takes effect at the next restart" if change.step.reboot == "yes" else ""


def _words(values: Values) -> str:
    return ", ".join(f"{name} {value}" for name, value in values)
