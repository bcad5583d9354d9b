"""What is known of the makers: loads and checks `profiles/`; the only reader of YAML."""

from atprobe.knowledge._coverage import Coverage, coverage
from atprobe.knowledge._load import lint, load, state_dir
from atprobe.knowledge._root import default_root
from atprobe.knowledge._surfaces import Platform, Query, Reboot, SettingRule, SurfaceRule, SwitchRule, Values
from atprobe.knowledge._transcripts import dump_transcript, load_transcript, transcripts
from atprobe.knowledge._types import GENERIC, Command, Knowledge, Layout, Maker, Profile, Rule
from atprobe.knowledge._yaml import ProfileError, ProfileProblem

__all__ = [
    "GENERIC",
    "Command",
    "Coverage",
    "Knowledge",
    "Layout",
    "Maker",
    "Platform",
    "Profile",
    "ProfileError",
    "ProfileProblem",
    "Query",
    "Reboot",
    "Rule",
    "SettingRule",
    "SurfaceRule",
    "SwitchRule",
    "Values",
    "coverage",
    "default_root",
    "dump_transcript",
    "lint",
    "load",
    "load_transcript",
    "state_dir",
    "transcripts",
]
