"""A release in another layout goes the way of the origin's."""

import json

from booru_pipeline.lake.lake import Lake
from booru_pipeline_tests.cli.command import booru


def test_json_lines_become_shards_and_are_to_become_a_report(tmp_path):
    (tmp_path / "raw").mkdir()
    with (tmp_path / "raw" / "danbooru2021.jsonl").open("w") as file:
        for fid in range(400):
            tags = f"1girl solo long_hair tag_{fid % 7} tag_{fid % 11}"
            post = {
                "id": fid,
                "md5": f"{fid:032x}",
                "rating": "g",
                "tag_string_general": tags,
                "tag_string_artist": "x",
            }
            file.write(json.dumps(post) + "\n")
    result = booru(tmp_path, "run", "--to", "training_shards", "--raw", "raw")
    assert result.returncode == 0, result.stderr
    manifest = json.loads((Lake(tmp_path / "booru_home").training_shards("danbooru2021") / "manifest.json").read_text())
    assert sum(split["posts"] for split in manifest["splits"].values()) == 400
    (tmp_path / "raw" / "walfie.sql").write_text("insert into files (booru, fid, file_name) values ('b', 1, 'x');\n")
    plan = booru(tmp_path, "run", "--dry-run", "--raw", "raw").stdout
    assert "danbooru2021  evaluation_report is missing" in plan
    assert "walfie  training_shards is missing" in plan
    assert "walfie  checkpoint" not in plan
