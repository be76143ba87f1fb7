"""The errors that byrote raises on purpose: one message, with the thing, the value, the way out."""

from __future__ import annotations

__all__ = ["ByroteError", "InputError"]


class ByroteError(Exception):
    """Something failed; the message says what, and what can be done. Exit code 1."""

    exit_code = 1


class InputError(ByroteError):
    """What the user gave cannot be used: a path, an option, a model name, a record. Exit code 2."""

    exit_code = 2
