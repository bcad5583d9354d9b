"""One module's interview: ask, weigh, ask again, stop. Knows no ports; anything that answers commands will do."""

from __future__ import annotations

from collections.abc import Callable

from atprobe.at import normalise
from atprobe.fingerprint._decide import decide
from atprobe.fingerprint._evidence import evidence_of, evidence_of_usb
from atprobe.fingerprint._extract import Observation, observe
from atprobe.fingerprint._questions import MAX_UNANSWERED, next_command, suits, unanswered
from atprobe.fingerprint._surfaces import Answers, surface, to_ask
from atprobe.knowledge import Command, Knowledge, SurfaceRule
from atprobe.model import Evidence, Identity, Reply, Surface, UsbInfo

Ask = Callable[[str, float | None], Reply]
"""Sends one command; the second argument is a deadline in seconds, None for the usual one."""

IMPATIENT_SECONDS = 0.5
"""The deadline of a module that has been seen to ignore commands; what comes later still counts as late."""


class Interview:
    """What is known of one module while it is being asked."""

    def __init__(self, knowledge: Knowledge, usb: UsbInfo | None = None) -> None:
        self._knowledge = knowledge
        self._evidence: tuple[Evidence, ...] = evidence_of_usb(knowledge, usb)
        self._observations: tuple[Observation, ...] = ()
        self._asked: dict[str, Reply] = {}
        self.identity: Identity = decide(knowledge, self._evidence)

    def left(self) -> tuple[Command, ...]:
        """What the identity did not need: the standard commands and the maker's that were not asked."""
        own = self._knowledge.profiles.get(self.identity.maker or "")
        wanted = {normalise(c.send): c for c in (*self._knowledge.standard, *(own.commands if own else ()))}
        return tuple(
            command
            for line, command in wanted.items()
            if line not in self._asked and suits(command, self.identity.model)
        )

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        """The surfaces the maker's profile describes, as far as the answers say; none while the maker is unknown."""
        answers = self._answers()
        return tuple(surface(rule, answers) for rule in self._rules())

    def survey(self, ask: Ask) -> tuple[Surface, ...]:
        """Ask for the state of each surface, after `run`. What `ask` raises passes through."""
        for rule in self._rules():
            while (query := to_ask(rule, self._answers())) is not None:
                lost = unanswered(self._asked)
                if lost >= MAX_UNANSWERED:
                    return self.surfaces
                reply = ask(query.send, query.seconds or (IMPATIENT_SECONDS if lost else None))
                self._asked[normalise(query.send)] = reply
        return self.surfaces

    def _rules(self) -> tuple[SurfaceRule, ...]:
        return self._knowledge.surfaces_of(self.identity.maker, self.identity.model)

    def _answers(self) -> Answers:
        return Answers(self._asked)

    def run(self, ask: Ask) -> Identity:
        """Ask until the identity is settled or nothing is left to ask. What `ask` raises passes through."""
        while True:
            command = next_command(self._knowledge, self.identity, self._evidence, self._observations, self._asked)
            if command is None:
                return self.identity
            # Once it has let a command pass in silence, the next unknown one gets less time to do so.
            impatient = IMPATIENT_SECONDS if unanswered(self._asked) else None
            reply = ask(command.send, command.seconds or impatient)
            self._asked[normalise(command.send)] = reply
            observations = observe(command, reply)
            self._observations += observations
            self._evidence += evidence_of(self._knowledge, command, observations)
            self.identity = decide(self._knowledge, self._evidence, self._observations)
