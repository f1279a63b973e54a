"""Bring a whole shop in: a salon's books, or one that is made up."""

from booking_service.importing.commands import generate, import_salon
from booking_service.importing.generator import GeneratorOptions
from booking_service.importing.problems import BadBooks, Problem
from booking_service.importing.summaries import Summary

__all__ = ["BadBooks", "GeneratorOptions", "Problem", "Summary", "generate", "import_salon"]
