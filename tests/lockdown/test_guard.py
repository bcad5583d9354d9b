"""Whatever a module answers and whatever a plan file holds: nothing is sent but what reads or what was confirmed."""

from __future__ import annotations

import json
import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atprobe.at import normalise
from atprobe.emulator import Memory, Trouble
from atprobe.emulator.player import Output, Player
from atprobe.emulator.scoring import MemoryPort
from atprobe.fingerprint import Interview, Target, manners
from atprobe.knowledge import Knowledge, SurfaceRule, load
from atprobe.link import NeverError, NotConsentedError, NotReadingError, PortError, Session
from atprobe.link.writing import Consent, WritingSession
from atprobe.lockdown import Journal, PlanError, Tools, apply, dump, make_plan, restore, resume
from atprobe.lockdown import load as load_plan
from atprobe.model import Device, Module, Plan, Port, ProblemKind, Stage, State, Step, Surface, Timing, Transcript
from tests.lockdown.bench import MAKER, known_module, made_up, transcript

CHIPS = ("asr", "mediatek", "unisoc", "xinyi")
"""Nothing decides these makers, so their surfaces go to a made-up module."""
NEVER_DECIDED = {"digi"}
"""A brand whose modules are others': it has surfaces and no module."""
NO_SWITCH = {"netgear"}
"""Its platform has a switch, for models that it has none of."""
FULL = 20
"""AT+CLAC with as many names is a full list."""

RETORTS: tuple[tuple[str, ...], ...] = (
    ("OK",),
    ("ERROR",),
    ("+CME ERROR: 3",),
    ("+CME ERROR: operation not supported",),
    ("COMMAND NOT SUPPORT",),
    (),
    ("AT+CFUN=1,1", "OK"),
    ('AT+QFOTADL="http://192.0.2.1/x"', "OK"),
    ("AT&F", "ERROR"),
    ("(redacted)", "OK"),
    ("+XYDMP:(redacted)", "OK"),
    ("+FOTACTR:0,2", "OK"),
    ("+FOTACTR:0,1;+CFUN=0", "OK"),
    ("+QREGSWT:99999999999", "OK"),
    ("+ULWM2M: 0;AT+CFUN=0", "OK"),
    ("+QSTK: \u0661", "OK"),
    ("A" * 700, "OK"),
    ("+QREGSWT: 1" + " " * 9000, "OK"),
    ("{0}{model}%s\\", "OK"),
    ("\x1b[2J", "\u202e", "OK"),
    ("+CREG: 1", "RING", "OK"),
)


@cache
def _profiles() -> Knowledge:
    return load()


@cache
def _all_examples() -> tuple[tuple[str, ...], ...]:
    rules = [rule for profile in _profiles().profiles.values() for rule in profile.surfaces]
    return tuple((*lines, "OK") for rule in rules for query in rule.queries for lines, _ in query.examples)


@cache
def _modules(slug: str) -> tuple[tuple[Knowledge, str, Transcript], ...]:
    """Modules of a maker, between them all its surfaces: the profiles, the maker as decided, what it says it is."""
    if slug in CHIPS:
        own = _profiles().profiles[slug]
        return ((made_up(_profiles(), *own.surfaces, reboot=own.reboot), MAKER, transcript()),)
    found = {}
    for rule in (None, *_profiles().surfaces_of(slug)):
        with suppress(LookupError):
            said, identity = known_module(slug, rule)
            found[identity.model] = (_profiles(), slug, said)
    return tuple(found.values())


def _makers() -> list[str]:
    return [slug for slug in _profiles().profiles if _profiles().surfaces_of(slug) and slug not in NEVER_DECIDED]


class World(MemoryPort):
    """One module that lies as `random` has it, on the only port there is; time passes only while someone waits."""

    def __init__(self, slug: str, random: Random) -> None:
        self.knowledge, self.slug, said = random.choice(_modules(slug))
        self.random = random
        rules = self.knowledge.surfaces_of(self.slug)
        own = self.knowledge.profiles[self.slug]
        self.memory = Memory(rules, own.reboot, reading=self.knowledge.reading)
        self.lies = {
            normalise(query.send): self._lie([lines for lines, _ in query.examples])
            for rule in rules
            for query in rule.queries
            if random.random() < 0.4
        }
        self.listed = self._list()
        # Some do not even know who they are, and are another maker's module half of the time.
        other = random.choice(_modules(random.choice(_makers())))[2] if random.random() < 0.15 else None
        self.other = None if other is None else Player(other)
        self.gone = False
        self.maker: str | None = None
        """Of whom surfaces are asked at present."""
        self.listing = False
        """Whether the present conversation has seen a full list."""
        self.sent: list[tuple[str, str | None, bool]] = []
        super().__init__(Player(said, memory=self.memory, boot_seconds=0.1))

    def _list(self) -> tuple[str, ...]:
        """The names in the answer to AT+CLAC: none, a few, or a full list that lacks some of the maker's own."""
        kind = self.random.choice(["none", "none", "few", "full"])
        if kind == "none":
            return ()
        own = {_name(query.send) for rule in self.knowledge.surfaces_of(self.slug) for query in rule.queries}
        some = tuple(name for name in sorted(own) if self.random.random() < 0.5)
        return some[:3] if kind == "few" else (*some, *(f"+MADE{number}" for number in range(FULL)))

    def _lie(self, examples: list[tuple[str, ...]]) -> Callable[[], bytes]:
        """What is answered in the place of the truth, at every question anew or always the same."""
        own = [(*lines, "OK") for lines in examples]

        def some() -> bytes:
            pool = self.random.choice([own, own, _all_examples(), RETORTS])
            lines = self.random.choice(pool or RETORTS)
            end = self.random.choice(["\r\n", "\r\n", "\n", "\r"])
            return end.encode() + "".join(f"{line}{end}" for line in lines).encode() if lines else b""

        always = some()
        return some if self.random.random() < 0.3 else lambda: always

    def open(self, device: Device, path: str) -> World:
        """What `Access.open` does, for the one port."""
        if self.gone:
            self.gone = False
            self.player.power_cycle()
        self._due.clear()
        self.listing = False
        return self

    def write(self, data: bytes) -> None:
        line = data.decode("ascii").removesuffix("\r")
        assert "\r" not in line and "\n" not in line
        command = normalise(line)
        self.sent.append((line, self.maker, self.listing))
        if command == "AT+CLAC" and self.listed:
            self.listing = len(self.listed) >= FULL
            self._queue([(self.now, "".join(f"\r\n{name}" for name in (*self.listed, "OK\r\n")).encode())])
        elif command in self.lies:
            self._queue([(self.now, self.lies[command]())])
        elif self.other is not None and self.random.random() < 0.5:
            self._play(self.other.receive(data, self.now))
        else:
            self._play(self.player.receive(data, self.now))

    def read(self, seconds: float) -> bytes:
        if self.gone and not self._due:
            raise PortError(ProblemKind.VANISHED, self.path, "went away")
        return super().read(seconds)

    def _play(self, outputs: list[Output]) -> None:
        self.gone = self.gone or any(output.hangup for output in outputs)
        self._queue((output.due, output.data) for output in outputs)

    # The clock of everything that waits

    def monotonic(self) -> float:
        """The present time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds


def _name(send: str) -> str:
    found = re.match(r"AT([+^%#!$*_][A-Z0-9_]+)", normalise(send))
    return found[1] if found else ""


@contextmanager
def _patched(world: World) -> Iterator[None]:
    """Every wait on the clock of `world`, its port in the place of all others, and each survey noted."""
    survey = Interview.survey

    def noted(self: Interview, ask: Any) -> tuple[Surface, ...]:
        world.maker = self.identity.maker
        try:
            return survey(self, ask)
        finally:
            world.maker = None

    @contextmanager
    def access(*_: Any, **__: Any) -> Iterator[World]:
        yield world

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Interview, "survey", noted)
        patch.setitem(Session.__init__.__kwdefaults__ or {}, "clock", world.monotonic)
        for place in ("_contact", "_run"):
            patch.setattr(f"atprobe.lockdown.{place}.time", world)
        patch.setattr("atprobe.lockdown._run.access", access)
        yield


DEVICE = Device("uart", (Port("memory", probed=True),))


def _probe(world: World) -> Module | None:
    """The module as a probe finds it; None where the conversation broke off."""
    transport = world.open(DEVICE, "memory")
    session = Session(transport, **manners(world.knowledge, 1.0, None))
    interview = Interview(world.knowledge)
    try:
        session.wake()
        interview.run(session.ask)
        surfaces = interview.survey(session.ask)
    except PortError:
        return None
    return Module(DEVICE, interview.identity, Timing(0.0, 0, 0.0), surfaces)


@dataclass
class Story:
    """What a run of everything came to."""

    world: World
    plans: list[Plan] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    written: int = 0


def _live(slug: str, random: Random, folder: Path) -> Story:
    """Probe, plan, apply, restore, and resume what a crash may have left, on one lying module."""
    world = World(slug, random)
    story = Story(world)
    named = {rule.id for profile in world.knowledge.profiles.values() for rule in profile.surfaces}
    include = random.choice([named, named, set(), {name for name in sorted(named) if random.random() < 0.5}])
    reboot = random.random() < 0.5
    with _patched(world), Journal(folder, lambda: "now") as journal:
        journal._db.execute("PRAGMA synchronous=OFF")  # no power is cut here
        tools = Tools(
            world.knowledge,
            journal,
            lambda: [Target(DEVICE, ("memory",))],
            1.0,
            None,
            False,
            threading.Event(),
            lambda change: story.stages.append(change.stage),
            back_seconds=2.0,
            write_seconds=2.0,
        )
        if (module := _probe(world)) is not None:
            plan = make_plan([module], include, world.knowledge, "now")
            story.plans.append(plan)
            assert load_plan(dump(plan), world.knowledge) == plan
            _check_switches(plan, world.knowledge, include)
            world.memory.troubles = set(random.sample(list(Trouble), k=random.choice([0, 0, 1])))
            world.memory.after = random.choice([0, 1])
            apply(plan, [module], tools, reboot=reboot)
            world.memory.troubles = set()
            restore(journal.changes(), [module], tools)
            left = journal.begin(plan.id, plan.modules)
            for change in left:
                journal.note(change, random.choice([Stage.SENDING, Stage.ANSWERED, Stage.UNDOING, Stage.REBOOTING]))
            resume(journal.changes()[-len(left) :] if left else [], [module], tools, undo=random.random() < 0.5)
    _check_sent(story, reboot)
    return story


def _check_switches(plan: Plan, knowledge: Knowledge, include: set[str]) -> None:
    """Only switches that a source shows, and those that can cut a service only where they were named."""
    for module in plan.modules:
        rules = {rule.id: rule for rule in knowledge.surfaces_of(module.maker)}
        for step in module.steps:
            switch = rules[step.surface].switch
            assert switch is not None and switch.confidence in ("documented", "observed-in-code", "observed")
            assert not switch.opt_in or step.surface in include


def _check_sent(story: Story, reboot: bool) -> None:
    world, knowledge = story.world, story.world.knowledge
    steps = [step for plan in story.plans for module in plan.modules for step in module.steps]
    confirmed = {normalise(line) for step in steps for line in (step.command, step.undo)}
    read_back = {normalise(step.read) for step in steps}
    for plan in story.plans:
        for module in plan.modules:
            again = knowledge.reboot_of(module.maker, module.model)
            confirmed |= {normalise(again.send)} if reboot and again else set()
    who = {normalise(command.send) for profile in knowledge.profiles.values() for command in profile.commands}
    never = [re.compile(pattern, re.I) for pattern in knowledge.never]
    for line, maker, listing in world.sent:
        command = normalise(line)
        story.written += command in confirmed
        assert command == "AT" or command in knowledge.reading or command in confirmed, line
        assert not any(pattern.fullmatch(command) for pattern in never), line
        if maker is None:
            assert command == "AT" or command in who | confirmed | read_back, line
        else:
            slugs = (maker, *(each.folder for each in knowledge.profiles[maker].platforms))
            rules = [rule for slug in slugs for rule in knowledge.profiles[slug].surfaces]
            own = {normalise(query.send) for rule in rules for query in rule.queries}
            assert command == "AT" or command in own, (line, maker)
            assert not listing or not _name(line) or _name(line) in world.listed, (line, "not listed")


@pytest.mark.parametrize("slug", _makers())
def test_every_maker(slug: str, tmp_path: Path) -> None:
    """A few lying modules of every maker, always the same ones."""
    stories = [_live(slug, Random(f"{slug}{number}"), tmp_path / str(number)) for number in range(16)]
    assert sum(len(story.world.sent) for story in stories) > 30
    knowledge, decided, _ = _modules(slug)[0]
    if any(rule.switch and rule.switch.automated for rule in knowledge.surfaces_of(decided)) and slug not in NO_SWITCH:
        # Else the guard was never tried: something has to be planned and written now and then.
        assert any(plan.modules[0].steps for story in stories for plan in story.plans if plan.modules)
        assert any(story.world.memory.writes for story in stories)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(slug=st.sampled_from(_makers()), random=st.randoms(use_true_random=False))
def test_any_lies(slug: str, random: Random) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _live(slug, random, Path(folder))


class Deaf:
    """A port that takes what is written and says nothing."""

    path = "deaf"

    def __init__(self) -> None:
        self.sent = b""

    def write(self, data: bytes) -> None:
        self.sent += data

    def read(self, seconds: float) -> bytes:
        return b""

    def close(self) -> None:
        """Nothing to release."""


def _plan(slug: str, rule: SurfaceRule) -> Plan:
    """A plan for a healthy module of that maker with that surface on."""
    said, identity = known_module(slug, rule)
    rules = _profiles().surfaces_of(slug, identity.model)
    port = MemoryPort(Player(said, memory=Memory(rules, start={rule.id: State.ON})))
    session = Session(port, **manners(_profiles(), 1.0, None), clock=lambda: port.now)
    interview = Interview(_profiles())
    session.wake()
    interview.run(session.ask)
    module = Module(DEVICE, interview.identity, Timing(0.0, 0, 0.0), interview.survey(session.ask))
    return make_plan([module], {each.id for each in rules}, _profiles(), "now")


@cache
def _plans() -> dict[str, Plan]:
    """One for every switch that is automated, by maker and surface."""
    return {
        f"{slug}/{rule.id}": _plan(slug, rule)
        for slug in _profiles().profiles
        for rule in _profiles().surfaces_of(slug)
        if rule.switch is not None and rule.switch.automated and slug not in CHIPS and slug not in NO_SWITCH
    }


def _steps() -> list[Step]:
    return [step for plan in _plans().values() for module in plan.modules for step in module.steps]


class TestTheSession:
    """Every refusal comes before a byte is written."""

    def test_reading_sessions_do_not_write(self) -> None:
        port = Deaf()
        session = Session(port, **manners(_profiles(), 1.0, None))
        reboots = [profile.reboot.send for profile in _profiles().profiles.values() if profile.reboot]
        for line in {line for step in _steps() for line in (step.command, step.undo)} | set(reboots):
            with pytest.raises(NotReadingError):
                session.ask(line)
        assert not hasattr(session, "write")
        assert port.sent == b""

    def test_what_no_plan_holds_is_not_written(self) -> None:
        port = Deaf()
        session = WritingSession(port, **manners(_profiles(), 1.0, None), consent=Consent(["AT+XONE=0"]))
        for line in (
            "AT+XONE=1",
            "AT+XONE=00",
            "AT+XONE=0;AT+CFUN=0",
            "AT+XONE=0;+CFUN=0",
            "AT+XONE=0\rAT+CFUN=0",
            "AT+XONE=0\n",
            "AT+XONE=\uff10",
            "AT+XONE=\u0660",
            "AT+\u0445ONE=0",
            'AT+XONE="0"',
            "AT+XONE",
            "AT+XONE?",
            "",
        ):
            # One that is spelt alike but for the end of the line is no command line, which is a ValueError.
            with pytest.raises((NotConsentedError, ValueError)):
                session.write(line)
        assert port.sent == b""

    @pytest.mark.parametrize(
        "line",
        [
            'AT+QFOTADL="http://192.0.2.1/x"',
            "at+nfwupd",
            "AT+UFWINSTALL",
            "AT+ULWM2M=2",
            "AT+SYSNV=2",
            "AT+ZDMSWITCH=0",
            'AT+DMCONFIG="a","b"',
            "AT+XYDMP=1,2",
            "AT%UPGCMD=1",
        ],
    )
    def test_what_a_profile_forbids_is_not_written_whoever_consents(self, line: str) -> None:
        port = Deaf()
        session = WritingSession(port, **manners(_profiles(), 1.0, None), consent=Consent([line]))
        with pytest.raises(NeverError):
            session.write(line)
        told = {**manners(_profiles(), 1.0, None), "reading": {normalise(line)}}
        with pytest.raises(NeverError):
            Session(port, **told).ask(line)  # type: ignore[arg-type]
        assert port.sent == b""

    def test_a_word_of_the_consent_is_written_as_it_stands(self) -> None:
        for step in _steps():
            port = Deaf()
            ticks = map(float, range(100))
            consent = Consent([step.command, step.undo])
            session = WritingSession(port, **manners(_profiles(), 1.0, None), clock=ticks.__next__, consent=consent)
            for line in (step.command, step.undo):
                with suppress(PortError):
                    session.write(line)
            sent = port.sent.decode().split("\r")
            assert set(sent) == {step.command, step.undo, "AT", ""}


TAMPER: list[Callable[[str], str]] = [
    lambda text: text + "\r",
    lambda text: text + "\rAT+CFUN=0",
    lambda text: text + ";+CFUN=0",
    lambda text: text + ";AT+CFUN=0",
    lambda text: text + " ",
    lambda text: " " + text,
    lambda text: text + "0",
    lambda text: text.lower(),
    lambda text: text.upper(),
    lambda text: re.sub(r"\d", lambda found: chr(0x0660 + int(found[0])), text),
    lambda text: re.sub(r"\d", lambda found: chr(0xFF10 + int(found[0])), text),
    lambda text: re.sub(r"\d", lambda found: str((int(found[0]) + 1) % 10), text),
    lambda text: text.replace("=", "=-"),
    lambda text: text.replace("A", "\u0410"),
    lambda text: text.replace("+", "#"),
    lambda text: text[:-1],
    lambda text: "",
    lambda text: "AT+CFUN=0",
    lambda text: "xinyi",
    lambda text: "openluat",
    lambda text: "490154200000004",
    lambda text: "49015420000000\u0664",
    lambda text: "\ud800",
    lambda text: "A" * 100000,
]
OBJECTS: list[object] = [None, 0, 1.5, True, [], {}, [[]], {"a": {}}, {"": ""}]


def _loaded(document: object) -> Plan | None:
    """The plan, or None where it was refused; whatever else is raised passes through."""
    try:
        return load_plan(json.dumps(document), _profiles())
    except PlanError as error:
        assert error.problems
        return None


def _lines(plan: Plan) -> list[tuple[str, str, str]]:
    return [(step.command, step.undo, step.read) for module in plan.modules for step in module.steps]


@pytest.mark.parametrize("name", sorted(_plans()))
def test_a_plan_that_was_tampered_with(name: str) -> None:
    """It is refused, or it still does what it did."""
    plan = _plans()[name]
    told = json.loads(dump(plan))
    accepted = set()

    def tries(entry: dict[str, Any], key: str) -> None:
        kept = entry[key]
        for value in [*([change(kept) for change in TAMPER] if isinstance(kept, str) else []), *OBJECTS]:
            entry[key] = value
            found = _loaded(told)
            if found is not None and value != kept:
                accepted.add(key)
                assert _lines(found) == _lines(plan), (key, value)
                # A plan for another unit fits none but that unit: `moved` compares what the module says itself.
                assert key == "imei" or [m.imei for m in found.modules] == [m.imei for m in plan.modules]
        entry[key] = kept

    for module in told["modules"]:
        for key in module:
            if key not in ("steps", "advice"):
                tries(module, key)
        for step in (step for step in module["steps"] if step["surface"] == name.partition("/")[2]):
            for key in list(step):
                tries(step, key)
                removed = step.pop(key)
                assert _loaded(told) is None
                step[key] = removed
            for key in ("before", "after"):
                for variable in list(step[key]):
                    tries(step[key], variable)
                step[key]["extra"] = "0"
                assert _loaded(told) is None
                del step[key]["extra"]
    # Which module it is, is compared with what the module says itself.
    assert accepted <= {"imei", "model", "firmware", "port", "maker", *_variables()}, accepted
    assert _loaded(told) == plan


def _variables() -> set[str]:
    """The names of all variables: `01` is 1, so some other spellings of a value are the same plan."""
    return {name for step in _steps() for name, _ in (*step.before, *step.after)}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_document(data: st.DataObject) -> None:
    """Some place of a real plan holds something else, however deep it lies; or all of it is something else."""
    plan = _plans()[data.draw(st.sampled_from(sorted(_plans())))]
    told: Any = json.loads(dump(plan))
    place, key = [told], 0
    while isinstance(place[key], dict | list) and place[key] and data.draw(st.integers(0, 5)):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else list(range(len(place)))))
    place[key] = data.draw(JSON)
    found = _loaded(told)
    if found is not None:
        assert set(_lines(found)) <= set(_lines(plan))


@settings(max_examples=100, deadline=None)
@given(
    text=st.text()
    | st.builds(lambda text, at: text[:at], st.sampled_from(["[" * 100000, '{"a":' * 50000]), st.integers(0, 9**9))
)
def test_any_text(text: str) -> None:
    with pytest.raises(PlanError):
        load_plan(text, _profiles())
