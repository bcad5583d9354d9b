"""A folder of profiles to spoil."""

from collections.abc import Callable
from pathlib import Path

import pytest

MAKER = """\
name: Acme
kind: maker
country: NO
usb_vendors: ["12AB"]
sources:
  - {url: "https://acme.example/imprint", date: "2026-06-08", says: legal name, confidence: documented}
"""
IDENTITY = """\
labels:
  - pattern: 'Acme( Inc\\.)?'
    strength: strong
    examples:
      - {text: Acme, claims: {}}
    source: public logs
    confidence: observed
firmware:
  - pattern: '(?P<model>AC\\d{2})-(?P<rev>\\d\\.\\d)'
    strength: decisive
    claims: {model: '{model}', firmware: '{0}'}
    examples:
      - {text: AC25-1.0, claims: {model: AC25, firmware: AC25-1.0}}
    not: [AC2-1.0]
    source: public logs
    confidence: observed
commands:
  - send: AT+ACVER
    reads: revision
    settles: [firmware, model]
    tell: true
    source: public manual
    confidence: documented
never:
  - {pattern: 'AT\\+ACBOOM(=.*)?', why: bare, source: public manual, confidence: documented}
unsolicited: ['\\+ACURC:.*']
redact: ['(?<=PIN: )\\d+']
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write the profile `acme` with given texts in place of the sound ones; returns the root."""
    monkeypatch.setenv("ATPROBE_STATE_DIR", str(tmp_path / "state"))

    def one(maker: str = MAKER, identity: str = IDENTITY, slug: str = "acme") -> Path:
        folder = tmp_path / "profiles" / slug
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "maker.yaml").write_text(maker, encoding="utf-8")
        (folder / "identity.yaml").write_text(identity, encoding="utf-8")
        return tmp_path / "profiles"

    return one
