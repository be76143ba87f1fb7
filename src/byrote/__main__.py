"""`python -m byrote` is the command line."""

import sys

from byrote.cli import main

if __name__ == "__main__":
    sys.exit(main())
