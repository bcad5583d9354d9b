"""Transcripts: in and out without loss, and clear faults."""

from pathlib import Path

import pytest

from atprobe.knowledge import ProfileError, default_root, dump_transcript, lint, load_transcript
from atprobe.model import Exchange, Transcript, Truth, UsbInfo
from tests.knowledge.conftest import Write

GOOD = """\
id: acme-1
source: {url: "https://x.example", kind: log, fidelity: bytes}
truth: {maker: acme, brand: null, model: AC25, variant: null, firmware: 01.200, imei: null}
usb: {vid: "2c7c", pid: 0125, product: "EC25 ™"}
exchanges:
- send: ATI
  recv: [ATI, "", "Acme: yes", OK]
- {send: null, recv: [RDY]}
"""


def test_reads_text_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(GOOD, encoding="utf-8")
    transcript = load_transcript(path)
    assert transcript.truth == Truth(maker="acme", model="AC25", firmware="01.200")
    assert transcript.usb == UsbInfo(vid="2c7c", pid="0125", product="EC25 ™")
    assert transcript.exchanges == (
        Exchange("ATI", ("ATI", "", "Acme: yes", "OK")),
        Exchange(None, ("RDY",)),
    )


@pytest.mark.parametrize(
    ("find", "put", "message"),
    [
        ("truth: {maker", "truths: {maker", "lacks 'truth'"),
        ("recv: [RDY]", "recv: RDY", "list of lines"),
        ("send: null, ", "", "lacks 'send'"),
        ("id: acme-1\n", "", "lacks 'id'"),
        ("- send: ATI", "- ATI\n- send: ATI", "mapping is expected"),
        ("send: ATI", "send: [ATI]", "text is expected"),
    ],
)
def test_faults(tmp_path: Path, find: str, put: str, message: str) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(GOOD.replace(find, put), encoding="utf-8")
    with pytest.raises(ProfileError, match=message) as caught:
        load_transcript(path)
    assert str(path) in str(caught.value)
    assert caught.value.problems[0].remedy


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="cannot be read"):
        load_transcript(tmp_path / "none.yaml")


def test_what_is_written_reads_the_same(tmp_path: Path) -> None:
    hostile = Transcript(
        id="x",
        fidelity="bytes",
        truth=Truth(maker="acme", firmware="01.200"),
        exchanges=(Exchange("ATI", ("a: b", "NO", "", "\x1b[31m", "0x10", "- x", "™"), "a\r\r\n\x1b\0b\r\n"),),
        source="here",
        usb=UsbInfo(vid="0125", pid="0e10"),
    )
    path = tmp_path / "t.yaml"
    path.write_text(dump_transcript(hostile), encoding="utf-8")
    again = load_transcript(path)
    assert (again.id, again.truth, again.exchanges, again.usb) == (
        hostile.id,
        hostile.truth,
        hostile.exchanges,
        hostile.usb,
    )


def test_lint_finds_faults_of_transcripts(tmp_path: Path, write: Write) -> None:
    root = write()
    folder = root / "acme" / "transcripts"
    folder.mkdir()
    (folder / "good.yaml").write_text(GOOD, encoding="utf-8")
    assert lint(root) == ()
    (folder / "form.yaml").write_text("id: x\n", encoding="utf-8")
    (folder / "maker.yaml").write_text(GOOD.replace("maker: acme", "maker: nobody"), encoding="utf-8")
    whole = "49015420" + "3237518"  # the example IMEI of textbooks, serial number and all
    (folder / "imei.yaml").write_text(GOOD.replace("[RDY]", f"['{whole}']"), encoding="utf-8")
    found = {Path(problem.path).name: problem for problem in lint(root)}
    assert "lacks" in found["form.yaml"].message
    assert "'nobody' is no profile" in found["maker.yaml"].message
    assert found["imei.yaml"].line == 8
    assert "000000" in found["imei.yaml"].remedy


def test_the_slow_reader_of_yaml_reads_all_of_it_too() -> None:
    """PyYAML without libyaml is stricter about `?` in a list; some gateways have no other."""
    import yaml

    files = [*default_root().glob("**/*.yaml"), *(Path(__file__).parents[1] / "transcripts").glob("**/*.yaml")]
    assert len(files) > 500
    for file in files:
        yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
