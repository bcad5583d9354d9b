"""Secrets in answers: replaced before anything is kept, shown or written, however the answer comes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path

import pytest

from atprobe.at import normalise
from atprobe.emulator import Emulator, Memory, Spec
from atprobe.emulator.memory import Reply as Answered
from atprobe.fingerprint import probe, record
from atprobe.knowledge import Knowledge, SurfaceRule, dump_transcript, load
from atprobe.link import PortError, Session
from atprobe.lockdown import apply, dump, restore
from atprobe.model import ProblemKind, Transcript
from atprobe.report import Format, View, make, now, render
from tests.lockdown.bench import Bench, known_module

CANARY = "s3cr3t-Canary"

LINES = {
    "AT+XYDMP?": ("+XYDMP:1,1440,app,s3cr3t-Canary,0", "+XYDMP: 0,1440,s3cr3t-Canary,word,0"),
    "AT+AUTOREGCFG?": (
        "+AUTOREGCFG: CMCC,enable,app,s3cr3t-Canary,0",
        "+AUTOREGCFG: CMCC,disable,s3cr3t-Canary,pwd,0",
    ),
    "AT+DMCONFIG?": ('+DMCONFIG: "app","s3cr3t-Canary",0',),
    "AT#DWCFG?": ('#DWCFG: "api.example.com",1,"s3cr3t-Canary","s3cr3t-Canary",0',),
    "AT#TCPATRUNAUTH?": ('#TCPATRUNAUTH: "user","s3cr3t-Canary"',),
    "AT#TCPATRUNCFG?": ('#TCPATRUNCFG: 1,1,1024,"s3cr3t-Canary",0,"s3cr3t-Canary",1,5',),
    "AT#SMSATWL?": ('#SMSATWL: 0,"s3cr3t-Canary"', '#SMSATWL: 1,"s3cr3t-Canary"'),
    "AT#PDPAUTH?": ('#PDPAUTH: 1,1,"user","s3cr3t-Canary"',),
    "AT#EVMONI?": ('#EVMONI: "SMSIN",1,"AT#REBOOT","s3cr3t-Canary"', '#EVMONI: SMSIN, 0, "", "s3cr3t-Canary"'),
    "AT+ODIS?": ('+ODIS: "s3cr3t-Canary","maker","model","1"',),
    "AT^SJOTAP?": ('^SJOTAP: "s3cr3t-Canary","http://h/a.jad","a:/","u","s3cr3t-Canary","gprs","apn","","","",""',),
    "AT^SGAUTH?": ('^SGAUTH: 1,1,"user","s3cr3t-Canary"',),
    "AT^SCFG?": ('^SCFG: "Userware/Passwd","s3cr3t-Canary"',),
    "AT^SISS?": ('^SISS: 0,"srvType","Http","passwd","s3cr3t-Canary"', '^SISS: 0="passwd","s3cr3t-Canary"'),
    "AT^SNFOTA?": ('^SNFOTA: "url","http://user:s3cr3t-Canary@192.0.2.1:8008/diff.usf"',),
    'AT^SNLWM2M="cfg","attus"': (
        '^SNLWM2M: "cfg","attus","pskkey","s3cr3t-Canary"',
        '^SNLWM2M: "cfg/ext","attus","s3cr3t-Canary"',
    ),
    'AT^SRVCFG="MODS","usm/prid"': ('^SRVCFG: "MODS","usm/prid", "s3cr3t-Canary"',),
    "AT+MIPLDEVINFO?": ("+MIPLDEVINFO: 1,s3cr3t-Canary,s3cr3t-Canary",),
    "AT+MDMPCFG?": ('+MDMPCFG: 1,"M100000000","s3cr3t-Canary"',),
    'AT+MFWCFG="auth"': ('+MFWCFG: "auth","user","s3cr3t-Canary"',),
    'AT+MPDSREGCFG="meid"': ('+MPDSREGCFG: "meid","s3cr3t-Canary"',),
    'AT+MDMPCFGEX="hw"': ('+MDMPCFGEX: "hw","s3cr3t-Canary"', '+MDMPCFGEX: "net","s3cr3t-Canary"'),
    "AT*EIAAUR?": ('*EIAAUR: 1,1,"user","s3cr3t-Canary"',),
    "AT*EIAAUW?": ('*EIAAUW: 1,1,"user","s3cr3t-Canary"',),
    "AT%GICCID?": ("%GICCID: s3cr3t-Canary",),
    "AT+CGAUTH?": ('+CGAUTH: 1,1,"user","s3cr3t-Canary"',),
    "AT+QHTTPCFG?": ('+QHTTPCFG: "url","https://user:s3cr3t-Canary@example.com/"',),
    "AT^FOTACFG?": ('^FOTACFG: "apn","user","s3cr3t-Canary"',),
    "AT-MSGEO": ("-MSGEO: s3cr3t-Canary,-4,4912,a2b1",),
    "AT%XMODEMUUID": ("%XMODEMUUID: s3cr3t-Canary",),
    "AT%DEVICEUUID": ("%DEVICEUUID: s3cr3t-Canary",),
    "AT#XUUID": ("#XUUID: s3cr3t-Canary",),
    "AT+UPGRADE?": ('+UPGRADE: "KEY",s3cr3t-Canary', "+UPGRADE:KEY,s3cr3t-Canary"),
    "AT_OPDPP?": ('_OPDPP: 1,1,"s3cr3t-Canary","user"',),
    "AT_OWANDATA?": ("_OWANDATA: 1, s3cr3t-Canary, 0.0.0.0",),
    "AT+QFOTACFG?": ('+QFOTACFG: "pk","s3cr3t-Canary"', '+QFOTACFG:"pk","s3cr3t-Canary"'),
    'AT+QLWCFG="security"': ('+QLWCFG: "security",0,"h",5684,1,0,"id","s3cr3t-Canary"',),
    'AT+QIOTCFG="productinfo"': (
        '+QIOTCFG: "productinfo","p11","s3cr3t-Canary"',
        '+QIOTCFG:"productinfo","p11","s3cr3t-Canary"',
    ),
    'AT+QIOTCFG="psk"': ('+QIOTCFG: "psk","s3cr3t-Canary"', '+QIOTCFG:"psk","s3cr3t-Canary"'),
    "AT+WPPP?": ('+WPPP: 1,1,"user","s3cr3t-Canary"',),
    "AT+KCNXCFG?": ('+KCNXCFG: 1,"GPRS","apn","user","s3cr3t-Canary"',),
    "AT$QCPDPP?": ("$QCPDPP: 1,1,s3cr3t-Canary,user",),
    'AT+LWCNF="endpointname"': ('+LWCNF: "endpointname","s3cr3t-Canary"',),
    "AT+UPSD=0,3": ('+UPSD: 0,3,"s3cr3t-Canary"', '+UPSD: 0,2,"s3cr3t-Canary"'),
    "AT+UAUTHREQ?": ('+UAUTHREQ: 1,1,"user","s3cr3t-Canary"',),
}
"""Answers as modules give them, with the secret in the places where secrets stand."""


@cache
def _profiles() -> Knowledge:
    return load()


def _asked() -> list[tuple[str, str]]:
    return [(command, line) for command, lines in LINES.items() for line in lines]


def test_every_pattern_has_a_line() -> None:
    lines = [line for _, line in _asked()]
    bare = [p for p in _profiles().redact if not any(re.search(p, line) for line in lines)]
    # This one hides an IMEISV's last half, which a word cannot be.
    assert [p for p in bare if "GIMEISV" not in p] == []


Chunks = list[tuple[float, bytes]]


def _plain(command: str, line: str) -> Chunks:
    return [(0.0, f"\r\n{line}\r\n\r\nOK\r\n".encode())]


def _echo(command: str, line: str) -> Chunks:
    return [(0.0, f"{command}\r\r\n{line}\r\n\r\nOK\r\n".encode())]


def _late_echo(command: str, line: str) -> Chunks:
    return [(0.0, f"\r\n{line}\r\n{command}\r\r\nOK\r\n".encode())]


def _glued(command: str, line: str) -> Chunks:
    return [(0.0, f"{line}{command}\r\r\n{line}\r\nOK\r\n".encode())]


def _two_reads(command: str, line: str) -> Chunks:
    data = f"\r\n{line}\r\n\r\nOK\r\n".encode()
    place = data.index(b"Canary")
    return [(0.0, data[:place]), (0.05, data[place:])]


def _byte_by_byte(command: str, line: str) -> Chunks:
    return [(0.01, bytes([byte])) for byte in f"{command}\r\r\n{line}\r\n\r\nOK\r\n".encode()]


def _late(command: str, line: str) -> Chunks:
    return [(4.0, f"\r\n{line}\r\n\r\nOK\r\n".encode())]


def _late_and_echo(command: str, line: str) -> Chunks:
    return [(4.0, f"{command}\r\r\n{line}\r\n\r\nOK\r\n".encode())]


def _too_late(command: str, line: str) -> Chunks:
    return [(9.5, f"\r\n{line}\r\n\r\nOK\r\n".encode())]


def _between(command: str, line: str) -> Chunks:
    data = f"\r\n+CREG: 1\r\n\r\n{line}\r\n\r\n+CEREG: 1\r\n\r\n{line}\r\n\r\nRING\r\n\r\nOK\r\n\r\n+CREG: 1\r\n"
    return [(0.0, data.encode())]


def _unasked(command: str, line: str) -> Chunks:
    return [(0.0, f"\r\nOK\r\n\r\n{line}\r\n".encode())]


def _unasked_later(command: str, line: str) -> Chunks:
    return [(0.0, b"\r\nOK\r\n"), (0.1, f"\r\n{line}\r\n\r\nOK\r\n".encode())]


def _twice(command: str, line: str) -> Chunks:
    return [(0.0, f"\r\n{line}\r\n\r\nOK\r\n\r\n{line}\r\n\r\nOK\r\n".encode())]


def _refused(command: str, line: str) -> Chunks:
    return [(0.0, f"\r\n{line}\r\n\r\n+CME ERROR: {line}\r\n".encode())]


def _no_end(command: str, line: str) -> Chunks:
    return [(0.0, f"\r\n{line}\r\n".encode())]


def _no_line_end(command: str, line: str) -> Chunks:
    return [(0.0, f"\r\n{line}".encode())]


def _noughts(command: str, line: str) -> Chunks:
    return [(0.0, b"\r\n" + line.replace(":", ":\0").replace("=", "\0=").encode() + b"\r\n\r\nOK\r\n")]


def _pause(command: str, line: str) -> Chunks:
    data = f"\r\n+X: 1\r\n{line}\r\n\r\nOK\r\n".encode()
    place = data.index(b"Canary")
    return [(0.0, data[:place]), (1.8, data[place:])]


def _long_pause(command: str, line: str) -> Chunks:
    data = f"\r\n{line}\r\n\r\nOK\r\n".encode()
    place = data.index(b"Canary")
    return [(0.0, data[:place]), (4.5, data[place:])]


def _small_letters(command: str, line: str) -> Chunks:
    return _plain(command, line.lower().replace(CANARY.lower(), CANARY))


def _carriage_returns(command: str, line: str) -> Chunks:
    return [(0.0, f"\r{line}\r+X: 1\rOK\r".encode())]


WAYS = [
    _plain,
    _echo,
    _late_echo,
    _glued,
    _two_reads,
    _byte_by_byte,
    _late,
    _late_and_echo,
    _too_late,
    _between,
    _unasked,
    _unasked_later,
    _twice,
    _refused,
    _no_end,
    _no_line_end,
    _noughts,
    _pause,
    _long_pause,
    _carriage_returns,
    _small_letters,
]


class Teller:
    """Gives one answer in pieces, each so many seconds after the one before; EC25 and OK to everything else."""

    path = "teller"

    def __init__(self, command: str, chunks: Chunks) -> None:
        self.now = 0.0
        self._command, self._chunks = command, chunks
        self._due: list[tuple[float, bytes]] = []

    def write(self, data: bytes) -> None:
        command = data.decode().rstrip("\r")
        if command == self._command:
            chunks = self._chunks
        else:
            chunks = [(0.0, b"\r\nOK\r\n" if command == "AT" else b"\r\nEC25\r\n\r\nOK\r\n")]
        for wait, content in chunks:
            self._due.append((max([self.now, *(due for due, _ in self._due)]) + wait, content))

    def read(self, seconds: float) -> bytes:
        if self._due and self._due[0][0] <= self.now + seconds:
            due, data = self._due.pop(0)
            self.now = max(self.now, due)
            return data
        self.now += max(seconds, 0.001)
        return b""

    def close(self) -> None:
        """Nothing to release."""


def _held(value: object, path: str = "session", seen: set[int] | None = None) -> Iterator[str]:
    """Where the secret is held, anywhere below a value; the module's own end and the patterns are no part of it."""
    seen = set() if seen is None else seen
    if id(value) in seen or isinstance(value, Teller | re.Pattern):
        return
    seen.add(id(value))
    if isinstance(value, str):
        if "Canary" in value:
            yield path
    elif isinstance(value, bytes | bytearray):
        if b"Canary" in value:
            yield path
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _held(key, f"{path}[...]", seen)
            yield from _held(each, f"{path}[{key!r}]", seen)
    elif isinstance(value, list | tuple | set | frozenset):
        for place, each in enumerate(value):
            yield from _held(each, f"{path}[{place}]", seen)
    else:
        names = [f.name for f in fields(value)] if is_dataclass(value) else list(getattr(value, "__dict__", {}))
        for name in names:
            yield from _held(getattr(value, name), f"{path}.{name}", seen)


def _session(module: Teller, command: str) -> Session:
    knowledge = _profiles()
    return Session(
        module,
        knowledge.reading | {normalise(command), "AT+CGMM"},
        unsolicited=knowledge.unsolicited,
        redact=knowledge.redact,
        clock=lambda: module.now,
    )


@pytest.mark.parametrize("way", WAYS, ids=[way.__name__ for way in WAYS])
def test_nothing_keeps_a_secret(way: Callable[[str, str], Chunks]) -> None:
    for command, line in _asked():
        module = Teller(command, way(command, line))
        session = _session(module, command)
        session.wake()
        session.ask("AT+CGMM")
        reply = session.ask(command)
        assert "Canary" not in repr(reply), line
        assert list(_held(session)) == [], (line, reply)
        for _ in range(2):
            assert "Canary" not in repr(session.ask("AT+CGMM"))
            assert list(_held(session)) == [], line
        assert session.exchanges[0].send == "AT"


class Vanishing(Teller):
    """Goes away in the middle of its answer, when half of the secret has been said."""

    def read(self, seconds: float) -> bytes:
        data = super().read(seconds)
        if data == b"":
            raise PortError(ProblemKind.VANISHED, self.path, "went away")
        return data


def test_nothing_keeps_a_secret_that_was_cut_short() -> None:
    for command, line in _asked():
        module = Vanishing(command, [(0.0, f"\r\n{line}\r\n{line}".encode())])
        session = _session(module, command)
        module.write(b"AT+CGMM\r")
        with pytest.raises(PortError) as caught:
            session.ask(command)
        assert list(_held(session)) == [], line
        assert "Canary" not in str(caught.value)


def _tellers() -> list[str]:
    return [slug for slug in _profiles().profiles if _profiles().surfaces_of(slug) and slug not in NOBODY]


NOBODY = {"digi", "unisoc", "xinyi"}
"""What is known decides none of these makers, so that their surfaces are not asked."""


@pytest.mark.parametrize("slug", _tellers())
def test_nothing_that_is_shown_or_written_has_a_secret(
    slug: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module whose every answer to a surface has all secrets beside what it should have."""
    for name in ("QUIET_SECONDS", "QUIET_SECONDS_KNOWN", "SETTLE_SECONDS"):
        monkeypatch.setattr(f"atprobe.link.session.{name}", 0.05)  # nobody here takes a pause
    knowledge = _profiles()
    told = asked = 0
    for place, model in enumerate(_models(slug)):
        said, rules = model
        memory = Memory(rules, knowledge.profiles[slug].reboot, reading=knowledge.reading)
        leaky = _Leaky(memory, [line for _, line in _asked()])
        spec = Spec(said, memory=leaky, boot_seconds=0.1, name="module")
        folder = tmp_path / str(place)
        with Emulator([spec], link_dir=folder / "links") as emulator:
            it = Bench(knowledge, emulator, [memory], folder / "state", [])
            started = now()
            outcome = probe(it.targets(), knowledge, timeout=0.3)
            report = make(outcome.modules, outcome.problems, started, knowledge.version)
            shown = [render(report, format, View(verbose=True)) for format in Format]
            shown.append(repr(outcome))
            (target,) = it.targets()
            kept = record(target.device, target.paths[0], knowledge, keep_identifiers=True, timeout=0.3)
            shown.append(dump_transcript(kept))
            plan = it.plan(*(rule.id for rule in rules))
            shown.append(dump(plan))
            with it.journal() as journal:
                modules = it.probe()
                result = apply(plan, modules, it.tools(journal))
                back = restore(journal.changes(), modules, it.tools(journal))
                shown += [repr(result), repr(back), repr(journal.changes())]
            shown += [path.read_bytes().decode("latin-1") for path in (folder / "state").iterdir()]
        for text in shown:
            assert "Canary" not in text
        assert leaky.told == 0 or any("(redacted)" in text for text in shown)
        told, asked = told + leaky.told, asked + len(memory.snapshot()["in force"])
    assert told > 0 or asked == 0


def _models(slug: str) -> list[tuple[Transcript, tuple[SurfaceRule, ...]]]:
    """Modules of a maker that have all its surfaces between them, each with those it has."""
    found = {}
    for rule in (None, *_profiles().surfaces_of(slug)):
        with suppress(LookupError):
            said, identity = known_module(slug, rule)
            found[identity.model] = said, _profiles().surfaces_of(slug, identity.model)
    return list(found.values())


class _Leaky(Memory):
    """Answers every query as the memory does, with secrets behind it."""

    def __init__(self, memory: Memory, secrets: Sequence[str]) -> None:
        self.__dict__ = memory.__dict__
        self._secrets = tuple(secrets)
        self.told = 0

    def answer(self, line: str) -> Answered | None:
        reply = super().answer(line)
        if reply is None or normalise(line) not in self.snapshot()["in force"]:
            return reply
        self.told += 1
        return reply._replace(lines=(*reply.lines[:-1], *self._secrets, reply.lines[-1]))
