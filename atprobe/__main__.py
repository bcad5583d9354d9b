"""`python -m atprobe`: the same as the `atprobe` command."""

import sys

from atprobe.cli import main

if __name__ == "__main__":
    sys.exit(main())
