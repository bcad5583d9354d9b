"""Replies -> evidence -> identity, and the run that asks many ports at once."""

from atprobe.fingerprint._interview import Interview
from atprobe.fingerprint._probe import Outcome, Progress, Target, manners, probe, record
from atprobe.fingerprint._watch import watch

__all__ = ["Interview", "Outcome", "Progress", "Target", "manners", "probe", "record", "watch"]
