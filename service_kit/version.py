"""The version of this program, as pyproject.toml has it: nothing is installed that could tell."""

__all__ = ["VERSION"]

VERSION = "0.1.0"
