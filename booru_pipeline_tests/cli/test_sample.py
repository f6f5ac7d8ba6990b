"""`booru sample` as a user types it: away from real releases, and how to use what it made."""

import shlex

from booru_pipeline.sample import generate
from booru_pipeline_tests.cli.command import assert_refused, booru
from booru_pipeline_tests.sample.generated import digests


def test_it_goes_into_a_folder_of_its_own_whatever_is_set(tmp_path):
    real = tmp_path / "real" / "Safebooru 2021a" / "V2021A_tags.tsv"
    real.parent.mkdir(parents=True)
    real.write_text("real")
    (tmp_path / "booru.toml").write_text('raw = "real"\nhome = "real home"\n')
    result = booru(tmp_path, "sample", "--posts", "20", BOORU_RAW=str(tmp_path / "real"))
    assert result.returncode == 0, result.stderr
    assert digests(tmp_path / "real") == {"Safebooru 2021a/V2021A_tags.tsv": digests(real.parent)["V2021A_tags.tsv"]}
    folder = tmp_path / "booru_sample" / "raw"
    assert (folder / "tag_aliases.json").is_file()
    assert (folder / "tag_implications.json").is_file()
    word, raw, home = shlex.split(result.stdout.splitlines()[-1])
    assert (word, raw, home) == ("export", f"BOORU_RAW={folder}", f"BOORU_HOME={folder.with_name('home')}")
    used = booru(tmp_path, "releases", **dict([raw.split("="), home.split("=")]))
    assert "2021b" in used.stdout
    assert "relations" not in used.stdout  # which it has


def test_where_real_files_lie_it_is_refused_and_nothing_is_touched(tmp_path):
    generate(tmp_path / "raw", posts=20)  # the author's own files, as far as the second call can tell
    for name in ("sample_files.json", "sample_truth.json"):
        (tmp_path / "raw" / name).unlink()
    before = digests(tmp_path)
    for more in ([], ["--replace"], ["--gzip"], ["--seed", "3"]):
        result = booru(tmp_path, "sample", "--raw", "raw", "--posts", "30", *more)
        assert_refused(result, "nothing was written", "Choose another folder with --raw")
        assert digests(tmp_path) == before
    assert_refused(booru(tmp_path, "sample", "--posts", "0"), "0 posts")
    assert not (tmp_path / "booru_sample").exists()


def test_it_does_not_go_into_a_folder_of_releases(tmp_path):
    result = booru(tmp_path, "sample", BOORU_RAW=str(tmp_path))
    assert_refused(result, "lies in your folder of releases", "Choose a folder outside with --raw")
    assert list(tmp_path.iterdir()) == []


def test_who_has_no_releases_is_told_of_the_sample_that_is_there(tmp_path):
    assert_refused(booru(tmp_path, "run"), "Make a sample with `booru sample`")
    assert booru(tmp_path, "sample", "--posts", "20").returncode == 0
    use = f"export BOORU_RAW={tmp_path}/booru_sample/raw BOORU_HOME={tmp_path}/booru_sample/home"
    (tmp_path / "booru_raw").mkdir()
    for command in ("run", "releases"):
        assert_refused(booru(tmp_path, command, "--raw", "nowhere"), use)
        assert use in booru(tmp_path, command).stderr
    none = booru(tmp_path, "suggest", "smile")
    assert_refused(none, "there is no checkpoint in", "booru run")
    assert "export" not in none.stderr  # nor has the sample's home one
    (tmp_path / "booru_sample" / "home" / "checkpoints" / "2021a").mkdir(parents=True)
    assert_refused(booru(tmp_path, "suggest", "smile"), "there is no checkpoint in", use)
