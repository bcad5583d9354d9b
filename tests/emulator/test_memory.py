"""The settings of a module: what is read, written, kept and forgotten, and the ways of not doing as told."""

from __future__ import annotations

from typing import Any

import pytest

from atprobe import knowledge
from atprobe.emulator import End, Fault, Memory, Output, Player, Reply, Trouble
from atprobe.emulator.memory import BUSY
from atprobe.knowledge import Reboot, SurfaceRule
from atprobe.knowledge._surfaces import surface_from
from atprobe.model import Exchange, State, Transcript, Truth

OK, ERROR = Reply(("OK",)), Reply(("ERROR",))


def example(state: str, *lines: str) -> dict[str, Any]:
    return {"recv": list(lines), "state": state}


def query(send: str, *examples: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"send": send, "examples": list(examples), **more}


def setting(read: str, pattern: str, write: str, values: dict[str, Any], off: dict[str, str]) -> dict[str, Any]:
    return {"read": read, "pattern": pattern, "write": write, "values": values, "off": off}


def surface(name: str, *queries: dict[str, Any], settings: Any = (), persistent: str = "yes") -> SurfaceRule:
    switch = {
        "settings": list(settings),
        "effect": "it is off",
        "persistent": persistent,
        "reboot": "no",
        "confidence": "documented",
        "source": "made up",
    }
    return surface_from(
        "maker",
        {
            "id": name,
            "title": "A surface",
            "kind": "fota",
            "reach": "carrier",
            "confidence": "documented",
            "sources": [],
            "queries": list(queries),
            **({"switch": switch} if settings else {}),
        },
    )


BIT = {"range": [0, 1]}
FOTA = query("AT+FOTA?", example("off", "+FOTA: 0,60"), example("on", "+FOTA: 1,60"), example("absent", "+OLD: 1"))
FOTA_SETTING = setting(
    "AT+FOTA?",
    r"\+FOTA: (?P<mode>[0-9]),(?P<wait>[0-9]+)",
    "AT+FOTA={mode},{wait}",
    {"mode": {"range": [0, 2]}, "wait": {"range": [0, 255]}},
    {"mode": "0"},
)
REBOOT = Reboot("AT+RESET", 5, "made up")


def fota(persistent: str = "yes", **start: State) -> Memory:
    rule = surface("fota", FOTA, settings=[FOTA_SETTING], persistent=persistent)
    return Memory([rule], REBOOT, start)


def read(memory: Memory, send: str = "AT+FOTA?") -> str:
    """The first line of the answer."""
    reply = memory.answer(send)
    assert reply is not None
    return reply.lines[0]


class TestReading:
    def test_a_query_gives_the_example_that_is_on(self) -> None:
        assert fota().answer("AT+FOTA?") == Reply(("+FOTA: 1,60", "OK"))

    def test_command_lines_are_compared_without_case_and_blanks(self) -> None:
        assert read(fota(), " at + fota ?") == "+FOTA: 1,60"

    @pytest.mark.parametrize(
        ("state", "line"), [(State.OFF, "+FOTA: 0,60"), (State.ABSENT, "+OLD: 1"), (State.UNKNOWN, "ERROR")]
    )
    def test_another_state_can_be_the_first(self, state: State, line: str) -> None:
        assert read(fota(fota=state)) == line

    def test_the_first_example_where_none_is_on(self) -> None:
        memory = Memory([surface("x", query("AT+X?", example("absent", "+X: 9"), example("off", "+X: 0")))])
        assert read(memory, "AT+X?") == "+X: 0"

    def test_what_is_only_known_to_be_absent_is_refused(self) -> None:
        memory = Memory([surface("x", query("AT+X?", example("absent", "+X: 9")), query("AT+Y?"))])
        assert memory.answer("AT+X?") == ERROR
        assert memory.answer("AT+Y?") == ERROR

    def test_absent_without_an_example_is_refused(self) -> None:
        rule = surface("x", query("AT+X?", example("on", "+X: 1"), refused="absent"))
        assert Memory([rule], start={"x": State.ABSENT}).answer("AT+X?") == ERROR

    def test_an_example_without_lines_is_ok_alone(self) -> None:
        assert Memory([surface("x", query("AT+X=?", example("on")))]).answer("AT+X=?") == OK

    def test_an_example_with_its_own_result_code_gets_no_other(self) -> None:
        rule = surface("x", query("AT+X?", example("on", "+CME ERROR: 4")))
        assert Memory([rule]).answer("AT+X?") == Reply(("+CME ERROR: 4",))

    def test_what_is_not_asked_by_a_rule_is_left_to_others(self) -> None:
        assert fota().answer("ATI") is None
        assert fota().answer("AT") is None

    def test_the_list_of_commands_is_left_to_the_transcript(self) -> None:
        assert Memory([surface("x", query("AT+CLAC", example("on", "+X")))]).answer("AT+CLAC") is None

    def test_the_first_surface_answers_a_query_of_two_unless_another_one_is_given_a_state(self) -> None:
        one = surface("one", query("AT+X?", example("on", "+X: 1")))
        two = surface("two", query("AT+X?", example("on", "+X: 2"), example("off", "+X: 3")))
        assert read(Memory([one, two]), "AT+X?") == "+X: 1"
        assert read(Memory([one, two], start={"two": State.OFF}), "AT+X?") == "+X: 3"
        assert read(Memory([one, two], start={"two": State.OFF, "one": State.ON}), "AT+X?") == "+X: 1"

    @pytest.mark.parametrize("start", [{"nobody": State.ON}, {"x": State.OFF}])
    def test_a_start_that_cannot_be_is_an_error(self, start: dict[str, State]) -> None:
        with pytest.raises(ValueError, match=r"nobody|x is off"):
            Memory([surface("x", query("AT+X?", example("on", "+X: 1")))], start=start)

    def test_the_example_that_shows_every_setting_is_taken(self) -> None:
        running, one, both = ("+X: busy",), ("a: 1",), ("a: 1", "b: 1")
        asked = query("AT+X?", *(example("on", *lines) for lines in (running, one, both)), example("off", "a: 0"))
        settings = [
            setting("AT+X?", f"{name}: (?P<v>[01])", f"AT+{name}={{v}}", {"v": BIT}, {"v": "0"}) for name in "ab"
        ]
        assert Memory([surface("x", asked, settings=settings)]).answer("AT+X?") == Reply((*both, "OK"))

    def test_settings_of_a_surface_that_shares_the_query_count_after_its_own(self) -> None:
        asked = query("AT+X?", example("on", "+X: busy"), example("on", "b: 1"), example("on", "a: 1"))
        settings = {n: setting("AT+X?", f"{n}: (?P<v>[01])", f"AT+{n}={{v}}", {"v": BIT}, {"v": "0"}) for n in "ab"}
        a, b = (surface(name, asked, settings=[settings[name]]) for name in "ab")
        assert read(Memory([a, b]), "AT+X?") == "a: 1"
        assert read(Memory([surface("c", asked), b]), "AT+X?") == "b: 1"

    def test_the_example_that_allows_the_switch_is_taken(self) -> None:
        asked = query("AT+X?", example("on", "+X: 1,7"), example("on", "+X: 1,8"))
        only_if = {"only_if": [{"read": "AT+X?", "pattern": r"\+X: .,8"}]}
        one = setting("AT+X?", r"\+X: (?P<v>[01]),.", "AT+X={v}", {"v": BIT}, {"v": "0"})
        assert read(Memory([surface("x", asked, settings=[{**one, **only_if}])]), "AT+X?") == "+X: 1,8"


class TestWriting:
    def test_a_write_changes_what_is_read_and_nothing_else(self) -> None:
        memory = fota()
        assert memory.answer("at+fota=0, 12") == OK
        assert memory.answer("AT+FOTA?") == Reply(("+FOTA: 0,12", "OK"))

    def test_values_of_other_lengths_fit(self) -> None:
        memory = fota()
        memory.answer("AT+FOTA=2,255")
        memory.answer("AT+FOTA=1,7")
        assert read(memory) == "+FOTA: 1,7"

    def test_values_in_the_front_may_grow_and_shrink(self) -> None:
        kinds = {name: {"range": [0, 999]} for name in "ab"}
        one = setting("AT+X?", r"\+X: (?P<b>\d+),(?P<a>\d+);", "AT+X={a},{b}", kinds, {"a": "0"})
        memory = Memory([surface("x", query("AT+X?", example("on", "+X: 5,60;")), settings=[one])])
        memory.answer("AT+X=7,123")
        assert read(memory, "AT+X?") == "+X: 123,7;"
        memory.answer("AT+X=100,8")
        assert read(memory, "AT+X?") == "+X: 8,100;"

    @pytest.mark.parametrize("line", ["AT+FOTA=3,60", "AT+FOTA=01,60", "AT+FOTA=1", "AT+FOTA=1,256", "AT+FOTA=1,60,0"])
    def test_what_the_rule_would_never_write_is_not_taken(self, line: str) -> None:
        memory = fota()
        before = memory.snapshot()
        assert memory.answer(line) is None
        assert memory.snapshot() == before

    def test_a_setting_that_is_not_shown_is_refused(self) -> None:
        memory = fota(fota=State.ABSENT)
        before = memory.snapshot()
        assert memory.answer("AT+FOTA=0,60") == ERROR
        assert memory.snapshot() == before

    def words(self, *lines: str) -> Memory:
        kinds = {"words": {"Enabled": "on", "Disabled": "off", "disabled": "off"}}
        one = setting("AT+X?", "(?P<v>[A-Za-z]+) at boot", 'AT+X="Boot",{v}', {"v": kinds}, {"v": "Disabled"})
        return Memory([surface("x", query("AT+X?", example("on", *lines)), settings=[one])])

    def test_a_word_is_read_otherwise_than_it_is_written(self) -> None:
        memory = self.words("mode 3", "Enabled at boot", "end")
        assert memory.answer('at+x="Boot",OFF') == OK
        assert memory.answer("AT+X?") == Reply(("mode 3", "Disabled at boot", "end", "OK"))

    def test_text_in_quotes_must_be_the_same(self) -> None:
        assert self.words("Enabled at boot").answer('AT+X="BOOT",off') is None

    def test_a_word_in_quotes_must_be_the_same(self) -> None:
        kinds = {"words": {"0": "Off", "1": "On"}}
        one = setting("AT+X?", r"\+X: (?P<v>[01])", 'AT+X="{v}"', {"v": kinds}, {"v": "0"})
        memory = Memory([surface("x", query("AT+X?", example("on", "+X: 1")), settings=[one])])
        assert memory.answer('AT+X="OFF"') is None
        assert memory.answer('at+x="Off"') == OK
        assert read(memory, "AT+X?") == "+X: 0"

    def test_of_two_words_that_are_written_alike_a_module_keeps_its_own(self) -> None:
        memory = self.words("disabled at boot")
        memory.answer('AT+X="Boot",on')
        memory.answer('AT+X="Boot",off')
        assert read(memory, "AT+X?") == "disabled at boot"

    def test_leading_zeros_stay(self) -> None:
        one = setting("AT+X?", r"\+X: (?P<v>[0-9]+)", "AT+X={v}", {"v": {"range": [0, 99]}}, {"v": "0"})
        memory = Memory([surface("x", query("AT+X?", example("on", "+X: 01")), settings=[one])])
        for value, shown in (("0", "00"), ("7", "07"), ("42", "42")):
            assert memory.answer(f"AT+X={value}") == OK
            assert read(memory, "AT+X?") == f"+X: {shown}"

    def test_of_two_kits_the_one_that_the_answer_shows_is_meant(self) -> None:
        old = setting("AT+C?", r"\+OLD:(?P<closed>[01])", "AT+C={closed}", {"closed": BIT}, {"closed": "1"})
        new = setting("AT+C?", r"\+NEW:0,(?P<permit>[01])", "AT+C={permit}", {"permit": BIT}, {"permit": "0"})
        rules = [
            surface("old", query("AT+C?", example("on", "+OLD:0")), settings=[old]),
            surface(
                "new",
                query("AT+C?", example("on", "+NEW:1,1"), example("on", "+NEW:0,1")),
                settings=[new],
                persistent="until-reboot",
            ),
        ]
        for start, changed, later in (({}, "+OLD:1", "+OLD:1"), ({"new": State.ON}, "+NEW:0,0", "+NEW:0,1")):
            memory = Memory(rules, start=start)
            assert memory.answer("AT+C=" + changed[-1]) == OK
            assert read(memory, "AT+C?") == changed
            memory.power_cycle()
            assert read(memory, "AT+C?") == later

    def test_settings_of_one_answer_are_independent(self) -> None:
        asked = query("AT+X?", example("on", "a: 1", "b: 1"))
        settings = [
            setting("AT+X?", f"{name}: (?P<v>[01])", f"AT+{name}={{v}}", {"v": BIT}, {"v": "0"}) for name in "ab"
        ]
        memory = Memory([surface("x", asked, settings=settings)])
        assert memory.answer("AT+B=0") == OK
        assert memory.answer("AT+X?") == Reply(("a: 1", "b: 0", "OK"))

    def test_every_line_that_may_write_is_kept_in_order(self) -> None:
        memory = Memory([surface("fota", FOTA, settings=[FOTA_SETTING])], REBOOT, reading=["AT^VERSION"])
        lines = ["AT", "ATI", "ATI9", "AT+CGMM", "AT+FOTA?", "AT+FOTA=?", "AT+ANY?", "AT+CLAC", "at^version"]
        writing = ["at+fota=0,1", "AT+FOTA=0,1", "AT+UNKNOWN=1", "AT+FOTA?;+X=1", "AT+RESET", "ATE0", "AT^OTHER", "ATZ"]
        for line in (*lines, *writing, *lines):
            memory.answer(line)
        assert memory.writes == writing


class TestKeeping:
    @pytest.mark.parametrize(
        ("persistent", "forgetful", "later"),
        [
            ("yes", False, "+FOTA: 0,9"),
            ("unknown", False, "+FOTA: 0,9"),
            ("until-reboot", False, "+FOTA: 1,60"),
            ("yes", True, "+FOTA: 1,60"),
        ],
    )
    def test_a_restart_keeps_or_forgets(self, persistent: str, forgetful: bool, later: str) -> None:
        memory = fota(persistent)
        if forgetful:
            memory.forgetful.add("fota")
        memory.answer("AT+FOTA=0,9")
        assert read(memory) == "+FOTA: 0,9"
        memory.power_cycle()
        assert read(memory) == later

    def test_a_snapshot_has_both_values_and_stays_as_it_was(self) -> None:
        memory = fota("until-reboot")
        before = memory.snapshot()
        memory.answer("AT+FOTA=0,9")
        assert memory.snapshot() != before
        assert memory.snapshot() == {
            "in force": {"AT+FOTA?": ("+FOTA: 0,9",)},
            "stored": {"AT+FOTA?": ("+FOTA: 1,60",)},
        }
        memory.power_cycle()
        assert memory.snapshot() == before

    def test_the_command_to_restart_is_answered_and_forgets_nothing_yet(self) -> None:
        memory = fota("until-reboot")
        memory.answer("AT+FOTA=0,9")
        assert memory.answer("at+reset") == Reply(("OK",), End.RESTART)
        assert read(memory) == "+FOTA: 0,9"
        assert Memory([]).answer("AT+RESET") is None


class TestTroubles:
    @pytest.mark.parametrize(
        ("troubles", "reply", "line"),
        [
            ({Trouble.IGNORE}, OK, "+FOTA: 1,60"),
            ({Trouble.REFUSE}, ERROR, "+FOTA: 1,60"),
            ({Trouble.BUSY}, Reply((BUSY,)), "+FOTA: 1,60"),
            ({Trouble.SWALLOW}, Reply(()), "+FOTA: 1,60"),
            ({Trouble.MUTE}, Reply(()), "+FOTA: 0,60"),
            ({Trouble.REBOOT}, Reply((), End.RESTART), "+FOTA: 0,60"),
            ({Trouble.DROP}, Reply((), End.LOST), "+FOTA: 0,60"),
            ({Trouble.OTHER}, OK, "+FOTA: 2,60"),
            ({Trouble.FLOOD}, Reply(("OK",), None, True), "+FOTA: 0,60"),
            ({Trouble.IGNORE, Trouble.REBOOT}, Reply((), End.RESTART), "+FOTA: 1,60"),
            ({Trouble.OTHER, Trouble.MUTE}, Reply(()), "+FOTA: 2,60"),
        ],
    )
    def test_a_write_goes_wrong_and_a_query_does_not(self, troubles: set[Trouble], reply: Reply, line: str) -> None:
        memory = fota()
        memory.troubles = troubles
        assert memory.answer("AT+FOTA?") == Reply(("+FOTA: 1,60", "OK"))
        assert memory.answer("AT+FOTA=0,60") == reply
        assert memory.answer("AT+FOTA?") == Reply((line, "OK"))
        assert memory.writes == ["AT+FOTA=0,60"]
        memory.troubles.clear()
        assert memory.answer("AT+FOTA=0,30") == OK
        assert read(memory) == "+FOTA: 0,30"

    def test_other_never_does_what_was_asked(self) -> None:
        memory = fota()
        memory.troubles.add(Trouble.OTHER)
        for mode in (0, 2, 1, 0, 1):
            memory.answer(f"AT+FOTA={mode},60")
            assert read(memory) in {f"+FOTA: {other},60" for other in range(3) if other != mode}

    def test_other_has_no_third_value_where_there_are_two(self) -> None:
        one = setting("AT+X?", r"\+X: (?P<v>[01])", "AT+X={v}", {"v": BIT}, {"v": "0"})
        memory = Memory([surface("x", query("AT+X?", example("on", "+X: 1")), settings=[one])])
        memory.troubles.add(Trouble.OTHER)
        assert memory.answer("AT+X=0") == OK
        assert read(memory, "AT+X?") == "+X: 1"
        assert memory.answer("AT+X=1") == OK
        assert read(memory, "AT+X?") == "+X: 0"

    def test_some_writes_can_go_well_before(self) -> None:
        memory = fota()
        memory.troubles.add(Trouble.IGNORE)
        memory.after = 2
        seen = []
        for wait in range(4):
            memory.answer(f"AT+FOTA=1,{wait}")
            seen.append(read(memory))
        assert seen == ["+FOTA: 1,0", "+FOTA: 1,1", "+FOTA: 1,1", "+FOTA: 1,1"]

    def test_refuse_all_is_for_queries_too(self) -> None:
        memory = fota()
        before = memory.snapshot()
        memory.troubles.add(Trouble.REFUSE_ALL)
        assert [memory.answer(line) for line in ("AT+FOTA?", "AT+FOTA=0,60", "ATI", "AT+RESET")] == [ERROR] * 4
        assert memory.answer("AT") is None
        assert memory.snapshot() == before

    def test_dead_is_for_everything(self) -> None:
        memory = fota()
        before = memory.snapshot()
        memory.troubles.add(Trouble.DEAD)
        assert [memory.answer(line) for line in ("AT", "AT+FOTA?", "AT+FOTA=0,60", "AT+RESET")] == [Reply(())] * 4
        assert memory.snapshot() == before
        assert memory.writes == ["AT+FOTA=0,60", "AT+RESET"]


ECHOING = Exchange("ATI", ("ATI", "Maker", "Model", "", "OK"))
PLAIN = Exchange("ATI", ("Maker", "Model", "OK"))


def play(memory: Memory, *exchanges: Exchange, faults: frozenset[Fault] = frozenset(), **how: Any) -> Player:
    return Player(Transcript("synthetic-memory", "lines", Truth(), exchanges), faults, memory=memory, **how)


def said(player: Player, command: str) -> bytes:
    return b"".join(output.data for output in player.receive(f"{command}\r".encode(), 0.0))


class TestPlaying:
    def test_the_memory_is_asked_before_the_transcript(self) -> None:
        player = play(fota(), PLAIN, Exchange("AT+FOTA?", ("+FOTA: recorded", "OK")))
        assert said(player, "AT+FOTA?") == b"\r\n+FOTA: 1,60\r\nOK\r\n"
        assert said(player, "ATI") == b"\r\nMaker\r\nModel\r\nOK\r\n"
        assert said(player, "AT") == b"\r\nOK\r\n"
        assert said(player, "AT+FOTA=9,9") == b"\r\nERROR\r\n"

    @pytest.mark.parametrize("raw", [None, "ATI\r\r\nMaker\r\nModel\r\n\r\nOK\r\n"])
    def test_its_answers_look_like_the_recorded_ones(self, raw: str | None) -> None:
        player = play(fota(), Exchange("ATI", ECHOING.recv, raw=raw))
        assert said(player, "at+fota?") == b"at+fota?\r\r\n+FOTA: 1,60\r\n\r\nOK\r\n"
        assert said(player, "AT+FOTA=0,60") == b"AT+FOTA=0,60\r\r\nOK\r\n"

    def test_faults_apply_to_its_answers(self) -> None:
        player = play(fota(), ECHOING, faults=frozenset({Fault.ECHO_TWICE, Fault.LF, Fault.NO_FINAL}))
        assert said(player, "AT+FOTA?") == b"AT+FOTA?\rAT+FOTA?\r\n+FOTA: 1,60\n\n"

    def test_a_mute_module_takes_nothing(self) -> None:
        memory = fota()
        before = memory.snapshot()
        assert said(play(memory, faults=frozenset({Fault.MUTE})), "AT+FOTA=0,60") == b""
        assert memory.snapshot() == before

    def test_a_swallowed_write_is_logged_and_not_echoed(self) -> None:
        memory = fota()
        memory.troubles.add(Trouble.SWALLOW)
        player = play(memory, ECHOING)
        assert player.receive(b"AT+FOTA=0,60\r", 0.0) == []
        assert player.log == [(0.0, "AT+FOTA=0,60")]

    def test_flood_is_around_and_in_the_answer_to_a_write_alone(self) -> None:
        memory = fota()
        memory.troubles.add(Trouble.FLOOD)
        player = play(memory, ECHOING)
        assert said(player, "AT+FOTA?").count(b"\r\n\r\n") == 1
        answer = said(player, "AT+FOTA=0,60")
        assert answer.startswith(b"\r\nRING\r\nAT+FOTA=0,60\r")
        assert answer.endswith(b'OK\r\n\r\n^HCSQ:"LTE",50,45,121,20\r\n')
        assert b"\r\n+CREG: 1\r\n" in answer

    def test_after_ok_to_a_restart_the_port_goes_for_a_while(self) -> None:
        player = play(fota(), boot_seconds=3.0, latency=0.5)
        answer, gone = player.receive(b"AT+RESET\r", 10.0)
        assert answer == Output(10.5, b"\r\nOK\r\n")
        assert gone == Output(gone.due, b"", hangup=True, back=3.0)
        assert answer.due < gone.due < 11.5

    def test_nothing_is_taken_while_the_module_restarts(self) -> None:
        memory = fota("until-reboot")
        player = play(memory, Exchange(None, ("HELLO",)))
        assert player.start(0.0) != []
        assert len(player.receive(b"AT+RESET\rAT\rAT+FOTA=0,60\rAT+FO", 0.0)) == 2
        assert memory.writes == ["AT+RESET"]
        player.power_cycle()
        assert player.start(1.0) == [Output(1.0, b"\r\nHELLO\r\n")]
        assert said(player, "AT") == b"\r\nOK\r\n", "and the half line is forgotten"

    def test_a_power_cycle_forgets_and_says_that_it_is_ready(self) -> None:
        memory = fota("until-reboot")
        player = play(memory)
        assert player.start(0.0) == []
        said(player, "AT+FOTA=0,60")
        player.power_cycle()
        assert player.start(1.0) == [Output(1.0, b"\r\nRDY\r\n")]
        assert read(memory) == "+FOTA: 1,60"

    @pytest.mark.parametrize(("trouble", "back"), [(Trouble.REBOOT, 2.0), (Trouble.DROP, None)])
    def test_a_write_can_take_the_port_away_without_an_answer(self, trouble: Trouble, back: float | None) -> None:
        memory = fota()
        memory.troubles.add(trouble)
        player = play(memory, ECHOING, boot_seconds=2.0)
        assert player.receive(b"AT+FOTA=0,60\rAT\r", 5.0) == [Output(5.0, b"", hangup=True, back=back)]
        assert memory.snapshot()["in force"] == {"AT+FOTA?": ("+FOTA: 0,60",)}

    def test_hangup_comes_again_after_a_power_cycle(self) -> None:
        player = play(fota(), faults=frozenset({Fault.HANGUP}))
        for _ in range(2):
            assert len(player.receive(b"AT\r", 0.0)) == 1
            assert [output.hangup for output in player.receive(b"AT\r", 0.0)] == [False, True]
            player.power_cycle()


SURFACES = [rule for profile in knowledge.load().profiles.values() for rule in profile.surfaces]


@pytest.mark.parametrize("rule", SURFACES, ids=lambda rule: rule.id)
class TestProfiles:
    def test_every_query_shows_the_state_in_which_the_module_began(self, rule: SurfaceRule) -> None:
        states = {state for query in rule.queries for _, state in query.examples if state is not None}
        settings = rule.switch.settings if rule.switch else ()
        conditions = {read for setting in settings for read, _ in setting.only_if if read != setting.read}
        for start in (None, *sorted(states)):
            memory = Memory([rule], start={} if start is None else {rule.id: start})
            for query in rule.queries:
                if start is None and query.send in conditions:
                    continue  # it begins with what lets the switch be used
                known = {state for _, state in query.examples}
                reply = memory.answer(query.send)
                if reply is None:
                    assert query.send == "AT+CLAC"
                elif reply == ERROR:
                    assert start in (State.ABSENT, query.refused) or known <= {State.ABSENT}
                elif (start or State.ON) in known:
                    lines = [line for line in reply.lines if line != "OK"]
                    said = query.rule(lines)
                    assert (said.state if said else query.ok) is (start or State.ON)

    def test_off_and_back_is_as_before(self, rule: SurfaceRule) -> None:
        for start in {state for query in rule.queries for _, state in query.examples if state is not None}:
            memory = Memory([rule], start={rule.id: start})
            for each in rule.switch.settings if rule.switch and rule.switch.automated else ():
                before, shown = memory.snapshot(), memory.answer(each.read)
                present = each.values(shown.lines) if shown else None
                if present is None:
                    continue
                off, back = each.command(each.with_off(present)), each.command(present)
                assert off is not None and back is not None
                assert memory.answer(off) == OK
                after = memory.answer(each.read)
                assert after is not None
                values = each.values(after.lines)
                assert values is not None and each.same(values, each.with_off(present))
                assert memory.answer(back) == OK
                assert memory.snapshot() == before
