"""`atprobe demo`: a probe run on emulated modules."""

from __future__ import annotations

import os

import click

from atprobe import discover
from atprobe.cli import _probing
from atprobe.cli._exit import Exit, Fatal, say
from atprobe.cli._options import Line, Output, line_options, output_options, surface_option
from atprobe.cli.emulate import find
from atprobe.emulator import Emulator, Fault, Memory, Spec
from atprobe.knowledge import Knowledge
from atprobe.model import Transcript

MODULES = (
    "quectel/quectel-bg770a-gl-golden-070",
    "quectel/quectel-em06-a-bytes-037",
    "quectel/quectel-dji-baiwang-qdc507-runbook-030",
    "fibocom/fibocom-fm350gl-ati-gtver-001",
    "simcom/simcom-sim868-manual-notes-020",
    "telit/telit-gl865-quad-v3-id-string-201",
    "cinterion/cinterion-pls83-w-01-006-zephyr-208",
    "sierra/sierra-em7455b-dw5811e-reference-006",
    "ublox/ublox-sara-r410m-1nce-003",
    "huawei/huawei-k3770-gammu-016",
    "foxconn/foxconn-dw5821e-dell-4116-h",
    "sequans/sequans-fipy-cgmi-pycom-202",
    "nordic/nordic-nrf9160-dk-mfw-1-3-7-201",
    "openluat/openluat-air780e-v1171-readme-301",
)
"""Recordings of real modules. Some carry the name of another firm than the one that made them."""

TROUBLE = (Fault.MUTE, Fault.NMEA)
"""Ports beside them that cannot be probed: one that never answers, and a position output."""

LATENCY = 0.02
"""Seconds that every answer takes, as a quick module does."""

EPILOG = """\b
Examples:
  atprobe demo
  atprobe demo -v
  atprobe demo --format json
"""


@click.command("demo", epilog=EPILOG)
@line_options
@surface_option
@output_options
def command(line: Line, output: Output) -> int:
    """Probe emulated modules and two troublesome ports. Touches no real port.

    The modules are recordings of real ones, their settings of remote update are made up from the profiles, and the
    run is the same as that of `probe`.
    """
    profiles = _probing.load()
    tcp = None if hasattr(os, "openpty") else 0
    specs = [Spec(find(name), latency=LATENCY, tcp=tcp, memory=_settings(find(name), profiles)) for name in MODULES]
    specs += [Spec(specs[0].transcript, faults=frozenset({fault}), tcp=tcp) for fault in TROUBLE]
    try:
        with Emulator(specs) as emulator:
            choices = [discover.named(port, ()) for port in emulator.ports]
            report = _probing.run(choices, profiles, line, output)
    except OSError as error:
        raise Fatal(f"the demo's ports cannot be made: {error}", code=Exit.INCOMPLETE) from error
    code = _probing.verdict(report)
    if code is not Exit.INCOMPLETE or len(report.modules) != len(MODULES):
        return code
    if not output.quiet:
        say(
            f"this was a demo: {len(MODULES)} recordings of real modules, whose settings of remote update are made up, "
            f"and {len(TROUBLE)} ports that cannot work"
        )
    return Exit.OK


def _settings(transcript: Transcript, profiles: Knowledge) -> Memory:
    """Settings as the maker's profile describes them: recordings rarely hold any."""
    return Memory(profiles.surfaces_of(transcript.truth.maker, transcript.truth.model))
