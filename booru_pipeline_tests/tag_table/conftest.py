"""A lake of loaded releases: two sample ones, and a hand-tagged one that lists a post of the first."""

from pathlib import Path

import pytest

from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.record import Record
from booru_pipeline.release.find import Release, find_releases
from booru_pipeline.release.layout import Layout
from booru_pipeline.tag_table.hand_tagged import read_script
from booru_pipeline.tag_table.load import load_release
from booru_pipeline.tag_table.options import TagTableOptions


@pytest.fixture(scope="session")
def lake(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Do not write to it."""
    lake = Lake(tmp_path_factory.mktemp("home"))
    releases = find_releases(raw).releases
    line = releases[0].files.read_text(encoding="utf-8").splitlines()[1].split("\t")
    script = tmp_path_factory.mktemp("captions") / "walfie.sql"
    script.write_text(
        "insert into files (booru, fid, file_name, img_size_torr) values\n"
        f'  ("{line[0]}", {line[1]}, "listed by hand first", "3x4"), ("nobooru", 0, "only by hand", "5x6");\n'
        "insert into tags values\n"
        f'  ("{line[0]}", {line[1]}, "only_by_hand", 1, 0, "GENERAL"), ("nobooru", 0, "carrot", 2, 0, "GENERAL");\n'
    )
    for release in [*releases, Release("manual_walfie", script, script, Layout.SCRIPT)]:
        record = Record(stage="tag_table", release=release.key, key="key", inputs={"raw_release": "abc"})
        load_release(release, lake.tag_table(release.key), lake.staging, TagTableOptions(), record)
    return lake


@pytest.fixture
def play(tmp_path, monkeypatch):
    """Reads a script that lies in an empty folder, which is the current one too, and sees that it leaves no trace."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    path = folder / "walfie.sql"

    def read(script):
        path.write_bytes(script if isinstance(script, bytes) else script.encode())
        try:
            return read_script(path)
        finally:
            assert [item.name for item in folder.iterdir()] == ["walfie.sql"]

    return read
