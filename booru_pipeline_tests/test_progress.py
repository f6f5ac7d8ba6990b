"""What takes long says what it does, how far it is, and how long it may take yet."""

import re
import threading
import time
from collections.abc import Callable

import duckdb
import pytest

from booru_pipeline import progress
from booru_pipeline.progress import duration, side_by_side, step, told_to

_SOON_S = 0.02


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(progress, "FIRST_S", _SOON_S)


def wait_until(what: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not what() and time.monotonic() < end:
        time.sleep(_SOON_S / 4)
    assert what()


def test_what_is_counted_says_its_share_and_the_time_to_go():
    lines: list[str] = []
    with told_to(lines.append), step("counting pairs", total=4) as counting:
        counting.advance()
        wait_until(lambda: lines)
    assert re.fullmatch(r"counting pairs: 25% after \d+ s, about \d+ s to go", lines[0])


def test_what_nobody_can_count_says_how_long_it_has_taken():
    lines: list[str] = []
    with told_to(lines.append), step("reading"):
        wait_until(lambda: lines)
    assert re.fullmatch(r"reading: \d+ s so far", lines[0])


def test_a_step_inside_another_speaks_for_both():
    lines: list[str] = []
    with told_to(lines.append), step("outer"), step("inner"):
        wait_until(lambda: len(lines) > 1)
    assert {line.split(":")[0] for line in lines} == {"inner"}


def test_many_short_steps_do_not_keep_the_outer_one_silent():
    lines: list[str] = []

    def work() -> list[str]:
        with step("inner"):
            time.sleep(_SOON_S / 20)
        return lines

    with told_to(lines.append), step("outer"):
        wait_until(work)
    assert lines[0].startswith("outer:")


def test_the_outer_step_speaks_again_after_the_inner_one():
    lines: list[str] = []
    with told_to(lines.append), step("outer"):
        with step("inner"):
            pass
        wait_until(lambda: lines)
    assert lines[0].startswith("outer:")


@pytest.mark.parametrize("error", [None, ValueError("of the work")])
def test_nothing_is_said_of_a_short_step_and_its_thread_ends(monkeypatch, error):
    monkeypatch.setattr(progress, "FIRST_S", 3600.0)
    lines: list[str] = []
    before = threading.active_count()
    try:
        with told_to(lines.append), step("short"):
            if error:
                raise error
    except ValueError as raised:
        assert raised is error  # noqa: PT017
    assert (lines, threading.active_count()) == ([], before)


def test_work_side_by_side_is_in_order_and_two_at_a_time_and_tells():
    lines: list[str] = []
    together: list[int] = []
    meeting = threading.Barrier(2, timeout=30)

    def work(number: int) -> int:
        if number < 2:
            together.append(meeting.wait())
        with step(f"number {number}"):
            if number == 2:
                wait_until(lambda: any("number 2" in line for line in lines))
        return number * number

    with told_to(lines.append):
        assert side_by_side(work, range(5)) == [0, 1, 4, 9, 16]
    assert sorted(together) == [0, 1]


def test_what_fails_side_by_side_ends_what_has_not_begun():
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        if number == 0:
            raise ValueError("no")
        time.sleep(0.1)

    with pytest.raises(ValueError, match="no"):
        side_by_side(work, range(50))
    assert len(begun) < 50


def test_who_cannot_be_told_does_not_end_the_work():
    asked: list[str] = []

    def broken(line: str) -> None:
        asked.append(line)
        raise OSError("no terminal")

    with told_to(broken), step("working"):
        wait_until(lambda: len(asked) > 1)


def test_a_long_statement_is_named_with_its_share(monkeypatch):
    from booru_pipeline import sql

    monkeypatch.setattr(sql, "statement", lambda folder, name: "SELECT max(hash(i)) FROM range(300_000_000) t(i)")
    lines: list[str] = []
    with duckdb.connect() as connection, told_to(lines.append):
        sql.run(connection, "dataset", "long")
    assert any(re.match(r"statement dataset/long: \d+% after \d+ s, about \d", line) for line in lines)


@pytest.mark.parametrize(("seconds", "words"), [(12.3, "12 s"), (150, "2 min"), (9000, "2.5 h")])
def test_durations_are_said_as_people_say_them(seconds, words):
    assert duration(seconds) == words
