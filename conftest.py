"""Runs the Python in README.md; docs/conftest.py does so for the documentation."""

from __future__ import annotations

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

pytest_collect_file = Sybil(parsers=[PythonCodeBlockParser()], patterns=["README.md"]).pytest()

pytest_plugins = ["pytester"]  # only the root may ask for it
