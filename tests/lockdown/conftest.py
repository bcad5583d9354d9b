from __future__ import annotations

import pytest

from atprobe.knowledge import Knowledge, load


@pytest.fixture(scope="session")
def knowledge() -> Knowledge:
    return load()
