"""The command line itself: help, errors, streams, start-up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from jsonschema import Draft202012Validator

from atprobe import __version__, discover
from atprobe.cli._main import COMMANDS, program
from tests.cli.conftest import Cli, finish, start


def every_command(group: click.Group = program, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from every_command(command, (*path, name))


ALL = list(every_command())


class TestHelp:
    @pytest.mark.parametrize("path", ALL, ids=" ".join)
    def test_every_command_explains_itself_with_examples(self, cli: Cli, path: tuple[str, ...]) -> None:
        result = cli(*path, "--help")
        assert (result.code, result.err) == (0, "")
        assert result.out.startswith(f"Usage: atprobe {' '.join(path)}")
        examples = result.out.partition("Examples:")[2]
        assert f"atprobe {' '.join(path)}" in examples

    def test_the_list_of_commands(self, cli: Cli) -> None:
        result = cli("--help")
        assert result.code == 0
        listed = result.out.partition("Commands:")[2]
        assert all(f"\n  {name} " in listed and text in listed for name, text in COMMANDS.items())
        assert "Exit codes:" in result.out

    def test_the_contract_is_complete(self) -> None:
        assert {("profiles", name) for name in ("list", "show", "lint", "test")} <= set(ALL)
        assert {
            (name,) for name in ("scan", "probe", "doctor", "emulate", "record", "demo", "profiles", "udev", "schema")
        } <= set(ALL)

    def test_no_command_shows_the_help_and_is_wrong_usage(self, cli: Cli) -> None:
        result = cli()
        assert result.code == 2
        assert "Commands:" in result.out

    def test_version(self, cli: Cli) -> None:
        assert cli("--version") == (0, f"atprobe {__version__}\n", "")


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["frobnicate"], "No such command 'frobnicate'"),
            (["probe", "--frobnicate"], "No such option"),
            (["probe", "stray"], "unexpected extra argument"),
            (["probe", "--usb", "modem"], "'modem' is not a pair of hexadecimal numbers like 2c7c:0125"),
            (["probe", "--usb", "2c7c:01255"], "'2c7c:01255' is not a pair"),
            (["probe", "--timeout", "0"], "0 is not a number of seconds"),
            (["probe", "--timeout", "nan"], "nan is not a number of seconds"),
            (["probe", "--timeout", "soon"], "'soon' is not a valid float"),
            (["probe", "--baud", "0"], "'0' is neither auto nor a rate from 50 to 12000000 bit/s"),
            (["probe", "--baud", "fast"], "'fast' is neither auto nor a rate"),
            (["probe", "--format", "xml"], "--format"),
            (["probe", "--output", "/dev"], "/dev is a folder"),
            (["probe", "--output", "/no/such/folder/report"], "there is no folder /no/such/folder"),
            (["record"], "Missing option '--port'"),
            (["emulate"], "Missing argument"),
            (["emulate", "x", "--fault", "shy"], "--fault"),
            (["emulate", "x", "--count", "0"], "--count"),
        ],
    )
    def test_wrong_usage(self, cli: Cli, arguments: list[str], message: str) -> None:
        result = cli(*arguments)
        assert result.code == 2
        assert result.out == ""
        assert result.err.startswith("atprobe: ")
        assert message in result.err
        assert result.err.count("\n") == 1
        assert "--help' shows how it is used." in result.err

    def test_an_error_message_cannot_drive_the_terminal(self, cli: Cli) -> None:
        result = cli("\x1b[2Jprobe\n\u202e")
        assert result.code == 2
        assert result.err[:-1].isprintable()

    def test_a_fault_of_ours_is_not_taken_for_findings(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(knowledge: object) -> None:
            raise ZeroDivisionError("\x1b[2J")

        monkeypatch.setattr(discover, "scan", broken)
        result = cli("scan")
        assert result.code == 3
        assert "ZeroDivisionError: \\x1b[2J" in result.err
        assert "please report it" in result.err


class TestStartUp:
    def test_help_imports_click_and_none_of_the_rooms(self) -> None:
        code = (
            "import sys; from atprobe.cli._main import run; run(['--help']);"
            "heavy = ['serial', 'yaml', 'rich', 'atprobe.knowledge', 'atprobe.fingerprint', 'atprobe.emulator'];"
            "print([name for name in heavy if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]"

    def test_a_command_imports_only_what_it_needs(self) -> None:
        code = (
            "import sys; from atprobe.cli._main import run; run(['probe', '--help']);"
            "print([name for name in ['rich', 'atprobe.emulator', 'atprobe.cli.profiles'] if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]"


def test_schema_is_printed_whole(cli: Cli) -> None:
    result = cli("schema")
    assert result.code == 0
    shown = json.loads(result.out)
    Draft202012Validator.check_schema(shown)
    assert shown["title"] == "atprobe.report/1"


class TestStreams:
    @pytest.mark.parametrize("arguments", [["schema"], ["--help"], ["probe", "--help"], ["profiles", "list"]])
    def test_a_reader_who_has_seen_enough_is_no_error(self, arguments: list[str]) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        process = start(*arguments, stdout=writer)
        os.close(writer)
        result = finish(process)
        assert (result.code, result.err) == (0, "")

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
    def test_a_full_disk_is_told_once_and_is_not_findings(self) -> None:
        with open("/dev/full", "w") as full:
            result = finish(start("schema", stdout=full))
        assert result.code == 3
        assert result.err == (
            "atprobe: the output could not be written: No space left on device. Check the space and the permissions.\n"
        )

    def test_a_locale_without_the_character_is_no_error(self, tmp_path: Path) -> None:
        named = tmp_path / "移远"
        named.mkdir()
        environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
        result = finish(start("profiles", "lint", str(named), env=environment))
        assert result.code == 1
        assert "\\u79fb\\u8fdc" in result.out

    @pytest.mark.skipif(os.name != "posix", reason="closes a file descriptor of the child")
    def test_no_stdout_at_all(self) -> None:
        code = "import os, sys; os.close(1); os.execv(sys.executable, [sys.executable, '-m', 'atprobe', 'schema'])"
        done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
