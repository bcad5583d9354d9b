"""Whatever a module says: no exception but PortError, nothing unbounded, nothing sent that is not known to read."""

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from atprobe.at import normalise
from atprobe.fingerprint import Interview
from atprobe.knowledge import Knowledge, load
from atprobe.link import PortError, Session

WORDS = st.sampled_from(
    [
        b"OK\r\n",
        b"\r\n",
        b"ERROR\r\n",
        b"0\r",
        b"4\r",
        b"+CME ERROR: 10\r\n",
        b"Quectel\r\n",
        b"EC25\r\n",
        b"Revision: EC25EFAR06A06M4G\r\n",
        b"Manufacturer: Sierra Wireless, Incorporated\r\n",
        b"Model: ",
        b"IMEI: 490154200000000\r\n",
        b'+CGMM: "',
        b'"',
        b"AT+CGMM\r",
        b"\0",
        b"\x1b[2J",
        "\u202e\u2028".encode(),
        b"$GPRMC,,V\r\n",
        b"\x7e\xff\x00",
        b"{0}{model}%s\\",
        b"A" * 700,
    ]
)
SPEECH = st.lists(st.one_of(WORDS, st.binary(max_size=40)), max_size=12).map(b"".join)


class Babbler:
    """Answers with whatever it was given, in turn, on a clock that runs only while someone waits."""

    path = "babbler"

    def __init__(self, speech: list[bytes]) -> None:
        self.now = 0.0
        self.sent: list[bytes] = []
        self._speech = speech
        self._due: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.sent.append(data)
        if self._speech:
            self._due.append(self._speech[(len(self.sent) - 1) % len(self._speech)])

    def read(self, seconds: float) -> bytes:
        self.now += 0.01 if self._due else max(seconds, 0.001)
        return self._due.pop(0) if self._due else b""

    def close(self) -> None:
        pass


@cache
def _knowledge() -> Knowledge:
    return load()


@settings(max_examples=150, deadline=None)
@given(speech=st.lists(SPEECH, max_size=8))
def test_any_speech(speech: list[bytes]) -> None:
    knowledge = _knowledge()
    module = Babbler([b"OK\r\n", *speech])
    session = Session(
        module,
        knowledge.reading,
        unsolicited=knowledge.unsolicited,
        redact=knowledge.redact,
        clock=lambda: module.now,
    )
    interview = Interview(knowledge)
    try:
        session.wake()
        interview.run(session.ask)
    except PortError as error:
        assert error.hint
    identity = interview.identity
    assert 0 <= identity.confidence < 1
    for value in (identity.model, identity.variant, identity.firmware, identity.build, identity.hardware):
        assert value is None or len(value) <= 512
    for data in module.sent:
        line = data.decode("ascii").removesuffix("\r")
        assert line == "AT" or normalise(line) in knowledge.reading
    assert module.now < 150
