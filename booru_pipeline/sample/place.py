"""Where the sample is put, away from real releases, and what to type to use it."""

import shlex
from pathlib import Path
from typing import Final

SAMPLE_RAW: Final = Path("booru_sample", "raw")  # in the working directory
SAMPLE_HOME: Final = Path("booru_sample", "home")


def home_of(raw: Path) -> Path:
    """The home that goes with a folder of samples, for their artifacts to lie beside no others."""
    return raw.with_name("home" if raw.name == SAMPLE_RAW.name else f"{raw.name}_home")


def use_line(raw: Path, home: Path) -> str:
    """The line after which the commands of a shell use these folders."""
    return f"export BOORU_RAW={shlex.quote(str(raw))} BOORU_HOME={shlex.quote(str(home))}"


def sample_remedy() -> str:
    """A sentence for whoever has no release: how to make the sample, or to use it if it is there."""
    raw = SAMPLE_RAW.resolve()
    if raw.is_dir():
        return f"The sample's releases are taken after `{use_line(raw, home_of(raw))}`."
    return "Make a sample with `booru sample`."


def sample_home_remedy(home: Path, folder: Path) -> str:
    """A sentence for whoever misses an artifact in a home, with a space before it; empty if the sample's has none.

    Args:
        home: The home that has none.
        folder: Where such artifacts lie in it.
    """
    other = SAMPLE_HOME.resolve()
    there = other / folder.relative_to(home)
    if other == home or not there.is_dir() or not any(there.iterdir()):
        return ""
    return f" The sample's is taken after `{use_line(SAMPLE_RAW.resolve(), other)}`."
