"""The command line, one thin file for each command; heavy imports wait until a command runs."""

from byrote.cli.app import build_app, main

__all__ = ["build_app", "main"]
