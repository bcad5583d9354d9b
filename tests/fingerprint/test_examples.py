"""The examples of every rule, each as the only thing a module says: its own maker or unknown, never another."""

from __future__ import annotations

import pytest

from atprobe.fingerprint import Interview
from atprobe.knowledge import Knowledge, _load, default_root, load
from atprobe.model import Reply

QUESTIONS = {"firmware": "AT+CGMR", "models": "AT+CGMM"}


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return load()


def maker(knowledge: Knowledge, answers: dict[str, str]) -> str | None:
    def ask(command: str, _: float | None) -> Reply:
        return Reply(command, (answers[command],), "OK") if command in answers else Reply(command, (), "ERROR")

    return Interview(knowledge).run(ask).maker


@pytest.mark.parametrize("labelled", [False, True])
def test_no_example_makes_another_maker(knowledge: Knowledge, labelled: bool) -> None:
    root = default_root()
    _, check = _load.check_all(root, _load.read_files(root))
    labels = {c.slug: c.rule["examples"][0]["text"] for c in check.rules if c.kind == "labels"}
    wrong = []
    for checked in check.rules:
        profile = knowledge.profiles[checked.slug]
        if checked.kind not in QUESTIONS or not profile.is_maker or checked.rule["strength"] in ("weak", "none"):
            continue
        for example in checked.rule["examples"]:
            answers = {QUESTIONS[checked.kind]: example["text"]}
            if labelled and checked.slug in labels:
                answers["AT+CGMI"] = labels[checked.slug]
            found = maker(knowledge, answers)
            if found not in (checked.slug, None):
                wrong.append((checked.slug, example["text"], found))
    assert wrong == []
