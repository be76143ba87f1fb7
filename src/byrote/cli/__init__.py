"""The command line, one thin file for each command; heavy imports wait until a command runs."""

from byrote.cli.app import app, main

__all__ = ["app", "main"]
