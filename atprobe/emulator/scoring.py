"""How well the profiles know the modules of a set of transcripts, measured by replay.

Each transcript is played to the very engine that asks real modules, through a port that lives in memory and has
its own clock, so that a module that takes ten seconds costs none. A transcript counts for maker, model or
firmware where its source establishes that truth and its conversation holds it: where the value, letters and
digits alone, stands in the answer to a command that reads. What is left out is listed with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush

from atprobe.at import Form, normalise, split
from atprobe.emulator.player import Fault, Player
from atprobe.fingerprint import Interview
from atprobe.knowledge import Knowledge
from atprobe.link import PortError, Session
from atprobe.model import Exchange, Identity, Transcript

MASK = "ACME"
"""What stands for every maker's name when labels are masked."""


@dataclass(frozen=True, slots=True)
class Result:
    """One transcript replayed. A field of `held` is True where the conversation holds that truth."""

    transcript: Transcript
    identity: Identity
    commands: tuple[str, ...]
    """Every command line the module received."""
    problem: str | None
    held: dict[str, bool]
    right: dict[str, bool]

    @property
    def wrong_maker(self) -> bool:
        """A maker was named, and it is not the one. Where the truth is not known, any name is wrong."""
        return self.identity.maker is not None and self.identity.maker != self.transcript.truth.maker


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one maker: how many were right of how many that counted."""

    maker: str
    transcripts: int
    replayed: int
    wrong: int
    maker_right: int
    maker_total: int
    model_right: int
    model_total: int
    firmware_right: int
    firmware_total: int


@dataclass(frozen=True, slots=True)
class Score:
    """All results, and the transcripts left out with the reason."""

    results: tuple[Result, ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def rows(self) -> tuple[Row, ...]:
        """One row a maker, in order of name; transcripts of unknown maker come as `?`."""
        makers = sorted({_truth_maker(r.transcript) for r in self.results} | {slug for slug, _ in self._left_by_maker})
        return tuple(self._row(maker) for maker in makers)

    @property
    def _left_by_maker(self) -> list[tuple[str, str]]:
        return [(identifier.partition("/")[0], identifier) for identifier, _ in self.left_out]

    def _row(self, maker: str) -> Row:
        results = [r for r in self.results if _truth_maker(r.transcript) == maker]
        left = sum(slug == maker for slug, _ in self._left_by_maker)
        counts = [
            sum(r.right[field] and r.held[field] for r in results)
            if what == "right"
            else sum(r.held[field] for r in results)
            for field in ("maker", "model", "firmware")
            for what in ("right", "total")
        ]
        return Row(maker, len(results) + left, len(results), sum(r.wrong_maker for r in results), *counts)


def score(
    knowledge: Knowledge,
    transcripts: Iterable[Transcript],
    *,
    mask_labels: bool = False,
    faults: frozenset[Fault] = frozenset(),
    urc_at: int | None = None,
    with_usb: bool = False,
) -> Score:
    """Replay transcripts and compare with their truth.

    `mask_labels` replaces the makers' names in every answer, so that only behaviour can tell them apart. With
    `faults` and `urc_at` every module is troublesome (see Player). What the bus would tell is withheld unless
    `with_usb`.
    """
    results, left_out = [], []
    for transcript in transcripts:
        reason = _left_out(knowledge, transcript)
        if reason:
            left_out.append((f"{_truth_maker(transcript)}/{transcript.id}", reason))
        else:
            played = mask(knowledge, transcript) if mask_labels else transcript
            results.append(replay(knowledge, played, transcript, faults=faults, urc_at=urc_at, with_usb=with_usb))
    return Score(tuple(results), tuple(left_out))


def replay(
    knowledge: Knowledge,
    transcript: Transcript,
    original: Transcript | None = None,
    *,
    faults: frozenset[Fault] = frozenset(),
    urc_at: int | None = None,
    with_usb: bool = False,
) -> Result:
    """Interview one transcript. What it holds is judged on `original` where the transcript was masked."""
    original = original or transcript
    port = MemoryPort(Player(transcript, faults, urc_at=urc_at))
    session = Session(
        port, knowledge.reading, unsolicited=knowledge.unsolicited, redact=knowledge.redact, clock=lambda: port.now
    )
    interview = Interview(knowledge, transcript.usb if with_usb else None)
    problem = None
    try:
        session.wake()
        interview.run(session.ask)
    except PortError as error:
        problem = str(error)
    identity, truth = interview.identity, original.truth
    held = {
        "maker": truth.maker is not None,
        "model": _holds(knowledge, original, truth.model),
        "firmware": _holds(knowledge, original, truth.firmware),
    }
    right = {
        "maker": identity.maker == truth.maker,
        "model": _same_model(identity, original),
        "firmware": _same_firmware(identity, truth.firmware),
    }
    return Result(original, identity, tuple(line for _, line in port.player.log), problem, held, right)


class MemoryPort:
    """A transport whose other end is a player and whose time passes only while someone waits."""

    def __init__(self, player: Player) -> None:
        self.path = "memory"
        self.player = player
        self.now = 0.0
        self._due: list[tuple[float, int, bytes]] = []
        self._count = 0
        self._queue((output.due, output.data) for output in player.start(0.0))

    def read(self, seconds: float) -> bytes:
        """What is due within `seconds`; waiting costs no real time."""
        if self._due and self._due[0][0] <= self.now + seconds:
            due, _, data = heappop(self._due)
            self.now = max(self.now, due)
            return data
        self.now += max(seconds, 0.001)
        return b""

    def write(self, data: bytes) -> None:
        """Give a command line to the player."""
        self._queue((output.due, output.data) for output in self.player.receive(data, self.now))

    def close(self) -> None:
        """Nothing to release."""

    def _queue(self, outputs: Iterable[tuple[float, bytes]]) -> None:
        for due, data in outputs:
            self._count += 1
            heappush(self._due, (due, self._count, data))


def mask(knowledge: Knowledge, transcript: Transcript) -> Transcript:
    """The transcript with every maker's name replaced by MASK, in answers only.

    Names are replaced wherever they stand, and what a maker's label rules match where a manufacturer is named.
    """
    names = {name for maker in knowledge.makers.values() for name in (maker.slug, maker.name) if len(name) > 3}
    anywhere = re.compile("|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)), re.I)
    named = re.compile(r"(.*(?:manufacturer|GMI)\s*:\s*\"?)(.*?)(\"?)", re.I)
    labels = [rule for profile in knowledge.profiles.values() for rule in profile.labels]

    def line(text: str, manufacturer: bool) -> str:
        found = named.fullmatch(text)
        head, value, tail = found.groups() if found else ("", text, "")
        if (found or manufacturer) and any(rule.match(value.strip()) is not None for rule in labels):
            return f"{head}{MASK}{tail}"
        return anywhere.sub(MASK, text)

    def exchange(given: Exchange) -> Exchange:
        echo = normalise(given.send or "")

        def one(text: str) -> str:
            if not text.strip() or normalise(text) == echo:
                return text
            return line(text, "GMI" in echo or (echo.startswith("ATI") and not re.search(r"\d", text)))

        raw = None if given.raw is None else "".join(one(part) for part in re.split(r"([\r\n]+)", given.raw))
        return Exchange(given.send, tuple(one(text) for text in given.recv), raw)

    return replace(transcript, exchanges=tuple(exchange(e) for e in transcript.exchanges))


def _left_out(knowledge: Knowledge, transcript: Transcript) -> str | None:
    """Why a transcript cannot count; None where it can."""
    if not transcript.exchanges:
        return "no conversation"
    truth = transcript.truth
    names = [truth.maker, truth.brand, truth.model, truth.firmware]
    if truth.maker in knowledge.makers:
        names.append(knowledge.makers[truth.maker].name)
    if any(_holds(knowledge, transcript, name) for name in names):
        return None
    of_maker = {
        normalise(c.send) for p in knowledge.profiles.values() if p.is_maker for c in p.commands if c.reads != "imei"
    }
    if any(normalise(e.send or "") in of_maker and _answer(e) for e in transcript.exchanges):
        return None
    return "no answer in it names a maker, model or firmware, and none is to a maker's identity command"


def _holds(knowledge: Knowledge, transcript: Transcript, value: str | None) -> bool:
    """Whether the answer to some reading command contains a value, letters and digits alone."""
    if value is None or len(_plain(value)) < 2:
        return False
    return any(
        _plain(value) in _plain(" ".join(_answer(exchange)))
        for exchange in transcript.exchanges
        if exchange.send is not None and _reads(knowledge, exchange.send)
    )


def _reads(knowledge: Knowledge, command: str) -> bool:
    forms = [form for _, form in split(command)]
    return normalise(command) in knowledge.reading or (bool(forms) and Form.SET not in forms)


def _answer(exchange: Exchange) -> Sequence[str]:
    """The lines of an answer without its echo; none where the answer is an error."""
    echo = normalise(exchange.send or "")
    lines = [line for line in exchange.recv if line.strip() and normalise(line) != echo]
    return [] if any(re.fullmatch(r"(\+CM[ES] )?ERROR.*|OK", line) for line in lines[:1]) else lines


def _same_model(identity: Identity, transcript: Transcript) -> bool:
    """The model or variant of the truth, or one that only says more (`EC25-E` where the truth is `EC25`)."""
    truths = {_plain(transcript.truth.model), _plain(transcript.truth.variant)} - {""}
    given = {_plain(identity.model), _plain(identity.variant)} - {""}
    model = _plain(transcript.truth.model)
    return bool(truths & given) or any(bool(model) and name.startswith(model) for name in given)


def _same_firmware(identity: Identity, truth: str | None) -> bool:
    """The firmware or build of the truth, or its full name (`SWI9X30C_02.24.05.06` where it is `02.24.05.06`)."""
    given = [text for text in (identity.firmware, identity.build) if text]
    return any(_plain(truth) in (_plain(text), *map(_plain, text.split("_"))) for text in given)


def _plain(text: str | None) -> str:
    return re.sub(r"[^A-Z0-9]", "", re.sub(r"^(A-)?REVISION ", "", (text or "").upper()))


def _truth_maker(transcript: Transcript) -> str:
    return transcript.truth.maker or "?"
