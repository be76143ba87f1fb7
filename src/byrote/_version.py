"""The one place where byrote's version is written."""

__version__ = "0.1.0"
