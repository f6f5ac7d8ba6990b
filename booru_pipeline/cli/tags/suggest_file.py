"""`booru suggest --file`: a post a line in, a row a suggestion out."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from booru_pipeline.cli.app import say
from booru_pipeline.cli.rows import Form, write
from booru_pipeline.cli.tags.questions import warn
from booru_pipeline.errors import BooruError
from booru_pipeline.lake.publish import staged_beside

_AT_ONCE: Final = 1000  # lines whose unknown names are looked up together

if TYPE_CHECKING:
    from booru_pipeline.model.suggest.filters import Filters
    from booru_pipeline.pipeline.settings import Settings


def suggest_file(
    settings: "Settings", key: str, file: Path, to: Path | None, top: int, filters: "Filters", as_json: bool
) -> None:
    """Answer each line of a file.

    What is no label is named with its line and left out; a line without any label has no rows, and is named too.

    Args:
        settings: Of the home.
        key: The checkpoint's.
        file: Of UTF-8 text; `-` is standard input.
        to: The file to write, which must not be there; standard output if None.
        top: Suggestions for each line.
        filters: Which are wanted.
        as_json: Print JSON lines.

    Raises:
        BooruError: The file cannot be read or holds no label, or the other cannot be written.
    """
    from booru_pipeline.model.suggest.filters import check_top
    from booru_pipeline.model.suggest.many import suggest_many
    from booru_pipeline.model.suggest.post_index import PostIndex
    from booru_pipeline.pipeline.opening import open_asker

    check_top(top)
    if to is not None and to.exists():
        raise BooruError(f"{to} is there already. Name another file.")
    name, lines = ("standard input" if str(file) == "-" else str(file)), _lines(file)
    given: list[tuple[int, tuple[str, ...]]] = []
    with duckdb.connect() as connection:
        asker = open_asker(settings, key, lambda files: PostIndex.of(connection, files))
        reader = asker.reader()
        written = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
        for start in range(0, len(written), _AT_ONCE):
            some = written[start : start + _AT_ONCE]
            for (number, _), question in zip(some, reader.read([[line] for _, line in some]), strict=True):
                if isinstance(question, BooruError):
                    warn(f"{name}, line {number}: {question}")
                    continue
                for left in question.left_out:
                    warn(f"{name}, line {number}: left out: {left.why}")
                given.append((number, question.given))
        if not given:
            raise BooruError(f"{name} has no line with a label. Write the tags of a post a line, with commas.")
        rows = pa.concat_tables(suggest_many(asker.predictor, asker.relations, given, top, filters))
        if to is None:
            write(connection.from_arrow(rows), Form.JSON_LINES if as_json else Form.TEXT)
            return
        with staged_beside(to) as draft:
            if to.suffix.lower() == ".parquet":
                pq.write_table(rows, draft)
            else:
                form = Form.CSV if to.suffix.lower() == ".csv" else Form.JSON_LINES
                with draft.open("w", encoding="utf-8", newline="") as text:
                    write(connection.from_arrow(rows), form, text)
    say(f"{to}: {rows.num_rows:,} suggestions for {len(given):,} posts")


def _lines(file: Path) -> list[str]:
    try:
        content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return content.decode("utf-8-sig").splitlines()
    except OSError as error:
        raise BooruError(f"{file} cannot be read: {error.strerror}. Name a file with a post a line.") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise BooruError(f"{file}, line {line}: this is no UTF-8 text. Save the file as UTF-8.") from error
