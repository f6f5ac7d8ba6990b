"""Every statement under sql/ is valid SQL of its engine, says what it is for, and is run by something."""

import re
import sqlite3
from pathlib import Path

import duckdb
import pytest

from booru_pipeline import sql

FILES = sorted(sql.SQL_FOLDER.rglob("*.sql"))
PACKAGE = Path(sql.__file__).parent


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(sql.SQL_FOLDER)))
def test_it_parses_begins_with_a_comment_and_is_used(path):
    text = sql.statement(path.parent.relative_to(sql.SQL_FOLDER).as_posix(), path.stem)
    assert text.startswith("-- "), "a statement says what it is for"
    if text.startswith("-- SQLite: "):
        assert sqlite3.complete_statement(text)
    else:
        assert duckdb.extract_statements(text)
    if path.parent.name == "queries":  # a library for people; test_queries.py runs each
        return
    sources = "\n".join(source.read_text() for source in PACKAGE.rglob("*.py"))
    assert re.search(rf'"{path.stem}"', sources), "no module runs it"


def test_no_sql_hides_in_python():
    verbs = re.compile(
        r"""["'](?:[^"'\n]*\b)?(SELECT|INSERT INTO|UPDATE|DELETE FROM|COPY)\b.*\b(FROM|VALUES|SET|TO)\b"""
    )
    found = [
        f"{source.name}: {line.strip()}"
        for source in PACKAGE.rglob("*.py")
        for line in source.read_text().splitlines()
        if verbs.search(line)
    ]
    # The record is one row that an artifact carries, its statement no more than a table's name.
    assert [line for line in found if "content FROM record" not in line] == []
