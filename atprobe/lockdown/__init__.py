"""Switching remote update off: plan, apply, verify, restore. The only room that may write to a module."""

from atprobe.lockdown._journal import JOURNAL, Journal, JournalError
from atprobe.lockdown._plan import MAX_BYTES, PlanError, dump, load, make_plan
from atprobe.lockdown._run import Moved, Run, Tools, apply, moved, restore, resume

__all__ = [
    "JOURNAL",
    "MAX_BYTES",
    "Journal",
    "JournalError",
    "Moved",
    "PlanError",
    "Run",
    "Tools",
    "apply",
    "dump",
    "load",
    "make_plan",
    "moved",
    "restore",
    "resume",
]
