"""Answers -> the state of a surface, and the switch that they allow."""

from __future__ import annotations

from typing import Any

import pytest

from atprobe.fingerprint._surfaces import Answers, surface, to_ask
from atprobe.knowledge import Knowledge, SurfaceRule, load
from atprobe.knowledge._surfaces import surface_from
from atprobe.model import Ended, Reply, State, Surface


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load()


def rule(*queries: dict[str, Any], **others: Any) -> SurfaceRule:
    about = {"id": "x", "title": "x", "kind": "fota", "reach": "vendor", "sources": [], "confidence": "documented"}
    return surface_from("x", {**about, "queries": [{"examples": [], **query} for query in queries], **others})


def answers(**replies: tuple[str, ...]) -> Answers:
    """By the letter of the command AT+<letter>?: the lines of its answer, the last one its result."""
    return Answers(
        {f"AT+{name}?": Reply(f"AT+{name}?", text=lines[:-1], final=lines[-1]) for name, lines in replies.items()}
    )


ON_OFF = [{"pattern": r"\+.: 1", "state": "on", "means": "so it is"}, {"pattern": r"\+.: 0", "state": "off"}]
A, B = {"send": "AT+A?", "states": ON_OFF}, {"send": "AT+B?", "states": ON_OFF}


class TestState:
    @pytest.mark.parametrize(
        ("lines", "state", "means"),
        [
            (("+A: 1", "OK"), State.ON, "so it is"),
            (("+A: 0", "OK"), State.OFF, None),
            (("noise", "+A: 0", "OK"), State.OFF, None),
            (("+A: 01", "OK"), State.UNKNOWN, None),
            (("OK",), State.UNKNOWN, None),
            (("ERROR",), State.UNKNOWN, None),
            (("+CME ERROR: 10",), State.UNKNOWN, None),
        ],
    )
    def test_an_answer_says_it_or_it_is_unknown(self, lines: tuple[str, ...], state: State, means: str | None) -> None:
        found = surface(rule(A), answers(A=lines))
        assert (found.state, found.means) == (state, means)

    @pytest.mark.parametrize(
        ("final", "state"),
        [
            ("ERROR", State.ABSENT),
            ("COMMAND NOT SUPPORT", State.ABSENT),
            ("+CME ERROR: 4", State.ABSENT),
            ("+CME ERROR: operation not supported", State.ABSENT),
            ("+CME ERROR: 10", State.UNKNOWN),
            ("+CME ERROR: SIM not inserted", State.UNKNOWN),
        ],
    )
    def test_a_refusal_says_absent_only_where_that_is_declared_and_meant(self, final: str, state: State) -> None:
        assert surface(rule({**A, "refused": "absent"}), answers(A=(final,))).state is state

    def test_ok_alone_can_be_an_answer(self) -> None:
        assert surface(rule({"send": "AT+A?", "ok": "on"}), answers(A=("OK",))).state is State.ON

    def test_what_was_not_asked_or_not_answered_is_unknown(self) -> None:
        silent = Answers({"AT+A?": Reply("AT+A?", ended=Ended.TIMEOUT)})
        assert surface(rule(A), Answers({})).state is State.UNKNOWN
        found = surface(rule({**A, "refused": "absent"}), silent)
        assert (found.state, found.means) == (State.UNKNOWN, "not answered")

    def test_what_cannot_be_asked_is_unknown(self) -> None:
        found = surface(rule(advice="ask the maker"), Answers({}))
        assert (found.state, found.answer, found.advice) == (State.UNKNOWN, None, "ask the maker")

    @pytest.mark.parametrize(
        ("first", "second", "state"),
        [
            ("1", "0", State.ON),
            ("0", "1", State.ON),
            ("0", "0", State.OFF),
            ("0", "?", State.UNKNOWN),
            ("1", "?", State.ON),
        ],
    )
    def test_on_is_on_and_unknown_is_not_off(self, first: str, second: str, state: State) -> None:
        found = surface(rule(A, B), answers(A=(f"+A: {first}", "OK"), B=(f"+B: {second}", "OK")))
        assert found.state is state

    def test_off_and_absent_is_off(self) -> None:
        found = surface(rule(A, {**B, "refused": "absent"}), answers(A=("+A: 0", "OK"), B=("ERROR",)))
        assert found.state is State.OFF


class TestAsking:
    def test_a_question_that_needs_another_waits_for_it(self) -> None:
        given = rule({"send": "AT+A?", "states": [{"pattern": "yes", "state": "none"}]}, {**B, "needs": "AT+A?"})
        assert getattr(to_ask(given, Answers({})), "send", None) == "AT+A?"
        assert getattr(to_ask(given, answers(A=("yes", "OK"))), "send", None) == "AT+B?"
        for refusal in (("no", "OK"), ("ERROR",)):
            assert to_ask(given, answers(A=refusal)) is None
        assert surface(given, answers(A=("yes", "OK"), B=("+B: 1", "OK"))).state is State.ON
        assert surface(given, answers(A=("no", "OK"))).state is State.UNKNOWN

    def test_a_command_that_is_not_listed_is_not_asked_and_absent(self) -> None:
        listed = tuple(f"+N{number}" for number in range(30))
        full = Answers({"AT+CLAC": Reply("AT+CLAC", text=listed, final="OK")})
        assert to_ask(rule(A), full) is None
        assert surface(rule(A), full).state is State.ABSENT
        short = Answers({"AT+CLAC": Reply("AT+CLAC", text=listed[:5], final="OK")})
        assert getattr(to_ask(rule(A), short), "send", None) == "AT+A?"
        assert surface(rule(A), short).state is State.UNKNOWN

    def test_presence_in_a_list(self) -> None:
        given = rule({"send": "AT+CLAC", "states": [{"pattern": r"\+N7", "state": "on"}], "ok": "absent"})
        listed = tuple(f"+N{number}" for number in range(30))
        for lines, state in ((listed, State.ON), (listed[8:], State.ABSENT), (listed[8:12], State.UNKNOWN)):
            replies = {"AT+CLAC": Reply("AT+CLAC", text=lines, final="OK")}
            assert surface(given, Answers(replies)).state is state


SWITCH = {
    "settings": [
        {
            "read": "AT+A?",
            "pattern": r"\+A: (?P<n>\d+),(?P<kept>\w+)",
            "write": "AT+A={n},{kept}",
            "values": {"n": {"range": [0, 20]}, "kept": {"words": {"yes": "Y", "no": "N"}}},
            "off": {"n": "0"},
            "only_if": [{"read": "AT+B?", "pattern": r"\+B: idle"}],
        }
    ],
    "effect": "off",
    "persistent": "yes",
    "reboot": "no",
    "confidence": "documented",
    "source": "x",
}


class TestSwitch:
    def found(self, first: str, second: str = "+B: idle") -> Surface:
        ask = {"send": "AT+A?", "states": [{"pattern": r"\+A: .*", "state": "on"}]}
        given = rule(ask, {"send": "AT+B?", "ok": "none"}, switch=SWITCH, advice="else")
        return surface(given, answers(A=(first, "OK"), B=(second, "OK")))

    def test_it_changes_what_is_to_change_and_keeps_the_rest(self) -> None:
        switch = self.found("+A: 7,no").switch
        assert switch is not None
        (setting,) = switch.settings
        assert (setting.values, setting.off) == ((("n", "7"), ("kept", "no")), (("n", "0"), ("kept", "no")))
        assert (setting.write, setting.undo, switch.commands) == ("AT+A=0,N", "AT+A=7,N", ("AT+A=0,N",))

    def test_nothing_is_to_be_written_where_it_is_off(self) -> None:
        switch = self.found("+A: 00,yes").switch
        assert switch is not None and switch.commands == ()

    @pytest.mark.parametrize("first", ["+A: 21,no", "+A: 7,perhaps", "+A: 7", "+A: (redacted),no", "+A: \u0667,no"])
    def test_a_value_of_another_type_is_never_written_back(self, first: str) -> None:
        assert self.found(first).switch is None

    def test_a_condition_that_does_not_hold(self) -> None:
        found = self.found("+A: 7,no", "+B: busy")
        assert found.switch is None
        assert found.advice == (
            "The profile has a switch, but what the module answers does not let it be used now. else"
        )


class TestRealProfiles:
    """What must come out exactly."""

    def of(self, knowledge: Knowledge, maker: str, name: str, **replies: tuple[str, ...]) -> Surface:
        (found,) = [each for each in knowledge.surfaces_of(maker) if each.id == name]
        return surface(found, answers(**replies))

    @pytest.mark.parametrize(
        ("line", "older", "newer", "commands"),
        [
            ("+FOTA:0", State.ON, State.ABSENT, ("AT+FOTACTR=1",)),
            ("+FOTA:1", State.OFF, State.ABSENT, ()),
            ("+FOTACTR:0,1", State.ABSENT, State.ON, ("AT+FOTACTR=0",)),
            ("+FOTACTR:0,0", State.ABSENT, State.OFF, ()),
            ("+FOTACTR:1,1", State.ABSENT, State.ON, None),
        ],
    )
    def test_the_two_xinyi_kits(
        self, knowledge: Knowledge, line: str, older: State, newer: State, commands: tuple[str, ...] | None
    ) -> None:
        first = self.of(knowledge, "xinyi", "xinyi-fota-mode", FOTACTR=(line, "OK"))
        second = self.of(knowledge, "xinyi", "xinyi-fota-permit", FOTACTR=(line, "OK"))
        assert (first.state, second.state) == (older, newer)
        switches = [each.switch.commands for each in (first, second) if each.switch is not None]
        assert switches == ([] if commands is None else [commands])

    @pytest.mark.parametrize(("line", "state"), [("+ULWM2M: 0", State.ON), ("+ULWM2M: 1", State.OFF)])
    def test_the_inverted_value_of_ublox(self, knowledge: Knowledge, line: str, state: State) -> None:
        found = self.of(knowledge, "ublox", "ublox-lwm2m", ULWM2M=(line, "OK"))
        assert found.state is state
        assert found.switch is not None
        assert found.switch.commands == (("AT+ULWM2M=1",) if state is State.ON else ())

    def test_a_hold_is_not_off(self, knowledge: Knowledge) -> None:
        held = tuple(f"+WDSC: {line}" for line in ("0,1", "1,1", "2,1", "3,0", "4,15,60", "5,1", "6,1"))
        found = self.of(knowledge, "sierra", "airvantage", WDSC=(*held, "OK"))
        assert found.state is State.ON
        assert found.means is not None and found.means.startswith("held")
        assert found.switch is not None and found.switch.commands == ()
        platform = self.of(knowledge, "quectel", "qlwfotaind", QLWFOTAIND=("+QLWFOTAIND:1", "OK"))
        assert platform.state is State.ON and (platform.means or "").startswith("held")

    def test_what_only_the_host_can_start_has_no_switch(self, knowledge: Knowledge) -> None:
        (found,) = [each for each in knowledge.surfaces_of("quectel") if each.id == "qfotadl"]
        assert (str(found.reach), found.switch) == ("host", None)

    def test_what_cannot_be_asked_is_never_off(self, knowledge: Knowledge) -> None:
        mute = [r for p in knowledge.profiles.values() for r in p.surfaces if not r.queries]
        assert len(mute) > 10
        for each in mute:
            found = surface(each, Answers({}))
            assert found.state is State.UNKNOWN and found.advice
