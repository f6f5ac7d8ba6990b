"""`booru captions` as a user types it: what it reads, writes, refuses and says, and what a kill leaves behind."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pyarrow as pa
import pytest

from booru_pipeline.sample.generate import generate
from booru_pipeline.sample.world import load_world
from booru_pipeline.vocabulary.counting import TagCounts
from booru_pipeline_tests.cli.command import BOORU, assert_refused, booru, environment, on_terminal

WORLD = load_world()
MANY = 3_000


@pytest.fixture(scope="module")
def relations(tmp_path_factory):
    """A folder of releases that has the sample's relations."""
    folder = tmp_path_factory.mktemp("relations")
    generate(folder, releases=["2021a"], posts=10)
    return folder


@pytest.fixture
def place(tmp_path, relations, monkeypatch):
    """A working directory with captions of several kinds in `train`."""
    monkeypatch.setenv("BOORU_RAW", str(relations))
    write(tmp_path / "train" / "1.txt", "bunny ears, solo, usada pekora\n")
    write(tmp_path / "train" / "sub" / "2.TXT", "smile\r\nrabbit_ears\r\n")
    write(tmp_path / "train" / "3.txt", "")
    write(tmp_path / "train" / "1.png", "no caption")
    write(tmp_path / "train" / ".hidden.txt", "rabbit_ears")
    return tmp_path


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def done(result):
    assert result.returncode == 0, result.stderr
    return result


def test_a_new_folder_has_all_captions_and_nothing_else(place):
    before = files_of(place)
    result = done(booru(place, "captions", "train", "new", "--clean", "--expand"))
    assert files_of(place / "new") == {
        "1.txt": b"rabbit ears, solo, usada pekora, animal ears\n",
        "3.txt": b"",
        "sub/2.TXT": b"smile\r\nrabbit_ears\r\nanimal_ears\r\n",
    }
    after = files_of(place)
    assert {name: after[name] for name in before} == before
    assert sorted(os.listdir(place)) == ["new", "train"]
    assert (place / "new").stat().st_mode & 0o777 == (place / "train").stat().st_mode & 0o777
    assert "3 captions in 3 files; changed: 2 in 2 files, 5 tags to 7" in result.stdout
    assert "animal_ears (2)" in result.stdout
    assert "bunny_ears to rabbit_ears (1)" in result.stdout
    assert "the order is kept: there is no vocabulary in" in result.stderr
    again = json.loads(done(booru(place, "captions", "new", "newer", "--clean", "--expand", "--json")).stdout)
    assert again["changed_captions"] == again["changed_files"] == 0
    assert files_of(place / "newer") == files_of(place / "new")


def test_in_place_keeps_what_was_there(place):
    os.chmod(place / "train" / "1.txt", 0o640)
    before = files_of(place / "train")
    flags = ("--in-place", "--clean", "--trigger", "ohwx woman", "--json")
    first = json.loads(done(booru(place, "captions", "train", *flags)).stdout)
    after = files_of(place / "train")
    assert after["1.txt"] == b"ohwx woman, rabbit ears, solo, usada pekora\n"
    assert after["sub/2.TXT"] == b"ohwx woman\r\nsmile\r\nrabbit_ears\r\n"
    assert after.keys() == before.keys()
    assert (place / "train" / "1.txt").stat().st_mode & 0o777 == 0o640
    changed = {name for name in before if before[name] != after[name]}
    assert files_of(Path(first["backup"])) == {name: before[name] for name in changed}
    assert Path(first["backup"]).parent == place
    again = json.loads(done(booru(place, "captions", "train", *flags)).stdout)
    assert (again["changed_files"], again["backup"], again["written"]) == (0, None, None)
    others = [
        json.loads(done(booru(place, "captions", "train", "--in-place", *more, "--json")).stdout) for more in MORE
    ]
    backups = {item["backup"] for item in (first, *others)}
    assert len(backups) == 3  # in one second, too
    assert files_of(Path(first["backup"])) == {name: before[name] for name in changed}


MORE = (("--underscores",), ("--spaces",))


def test_a_dry_run_writes_nothing(place):
    before = files_of(place)
    for more in ([], ["new"], ["--in-place"]):
        result = done(booru(place, "captions", "train", *more, "--consolidate", "--clean", "--dry-run"))
        assert "- bunny ears, solo, usada pekora\n+ rabbit ears, solo, usada pekora\n" in result.stdout
        assert "nothing is written" in result.stdout
    assert files_of(place) == before


def test_the_sample_is_expanded_and_consolidated_as_its_world_has_it(place):
    names = [name for name in WORLD.categories if "," not in name and name not in WORLD.aliases and name.isascii()]
    for number in range(60):
        write(place / "train" / f"{number}.txt", ", ".join(names[number::60]))
    done(booru(place, "captions", "train", "full", "--expand", "--order", "keep"))
    done(booru(place, "captions", "full", "lean", "--consolidate", "--order", "keep"))
    for number in range(60):
        full = set((place / "full" / f"{number}.txt").read_text().split(", "))
        lean = set((place / "lean" / f"{number}.txt").read_text().split(", "))
        assert full == WORLD.closure(names[number::60])
        assert lean <= full == WORLD.closure(lean)
        assert not any(tag in WORLD.closure([other]) for tag in lean for other in lean - {tag})


def test_kohyas_metadata_keep_what_is_no_tag(place):
    entries = {
        "a/1.png": {"train_resolution": [64, 0.5], "tags": "1girl, bunny_ears", "caption": "a girl, bunny ears"},
        "2": {"tags": "é", "other": None},
        "3": {"caption": "bunny ears"},
    }
    write(place / "train" / "meta_clean.json", json.dumps(entries, indent=2))
    write(place / "meta.json", json.dumps({"1": {"caption": "bunny ears, A girl stands there, smiling."}}) + "\n")
    write(place / "train" / "config.json", "[]")
    done(booru(place, "captions", "train", "new", "--clean"))
    entries["a/1.png"]["tags"] = "1girl, rabbit_ears"
    assert (place / "new" / "meta_clean.json").read_text() == json.dumps(entries, indent=2)
    assert not (place / "new" / "config.json").exists()
    done(booru(place, "captions", "meta.json", "new.json", "--clean"))
    assert (place / "new.json").read_text() == json.dumps(
        {"1": {"caption": "rabbit ears, A girl stands there, smiling."}}
    ) + "\n"
    inside = json.loads(done(booru(place, "captions", "meta.json", "--in-place", "--clean", "--json")).stdout)
    assert (place / "meta.json").read_text() == (place / "new.json").read_text()
    assert list(files_of(Path(inside["backup"]))) == ["meta.json"]


def test_categories_are_those_of_the_newest_vocabulary(place):
    for key, category in (("2020a", 0), ("2021a", 4)):
        folder = place / "booru_home" / "vocabulary" / key
        folder.mkdir(parents=True)
        counted = {
            "tag": ["solo", "usada_pekora", "usada_pekora"],
            "category": pa.array([0, category, 5], pa.int8()),
            "posts": [9, 8, 1],  # once it was taken for a meta tag
            "train_posts": [9, 8, 1],
        }
        TagCounts(pa.table(counted), {}, {}).write(folder)
    result = done(booru(place, "captions", "train", "new", "--remove", "nothing*"))
    assert (place / "new" / "1.txt").read_text() == "usada pekora, solo, bunny ears\n"
    assert result.stderr == "no tag matches --remove 'nothing*'\n"
    assert "in another order: 1 captions" in result.stdout
    done(booru(place, "captions", "train", "kept", "--remove", "nothing*", "--order", "keep"))
    assert (place / "kept" / "1.txt").read_text() == "bunny ears, solo, usada pekora\n"


def test_without_relations_it_is_said(place, tmp_path, monkeypatch):
    monkeypatch.setenv("BOORU_RAW", str(tmp_path / "empty"))
    for flag, says in (("--clean", "no tag aliases"), ("--expand", "no tag imp"), ("--consolidate", "no tag imp")):
        result = done(booru(place, "captions", "train", "--dry-run", flag))
        assert says in result.stderr
        assert result.stderr.count("no tag ") == 1


def test_a_mark_of_byte_order_goes_and_the_rest_stays(place):
    write(place / "train" / "1.txt", b"\xef\xbb\xbfsmile ,,solo\r\n")
    done(booru(place, "captions", "train", "--in-place", "--clean"))
    assert (place / "train" / "1.txt").read_bytes() == b"smile ,,solo\r\n"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("b.txt", b"solo\nsm\xffile", ["b.txt, line 2, byte 8: it is not UTF-8", "Save it as UTF-8"]),
        ("b.txt", b"\xef\xbb\xbf\xff", ["line 1, byte 4"]),
        ("b.txt", "solo".encode("utf-16"), ["line 1, byte 1: it is not UTF-8"]),
        ("b.txt", b"solo\n\0", ["b.txt, line 2: it has a NUL byte"]),
        ("b.txt", b"x" * (1 << 21), ["is no caption", "1,048,576 bytes"]),
        ("b\x1b[31m.txt", b"\xff", ["b\\x1b[31m.txt, line 1"]),
        ("meta_b.json", b'{"1":\n{"tags": "a",}}', ["meta_b.json, line 2: it is no JSON"]),
        ("meta_b.json", b"[1]", ["the whole is no object", "such as"]),
        ("meta_b.json", b'{"1": "solo"}', ["1 is no object"]),
        ("meta_b.json", b'{"1": {"tags": ["solo"]}}', ["tags of 1 are no text"]),
        ("meta_b.json", b'{"1": {"size": 1}}', ["has neither tags nor captions"]),
        ("meta_b.json", b'{"1": {"tags": "a"}, "1": {"tags": "b"}}', ["'1' is there twice"]),
        ("meta_b.json", b"[" * 200_000, ["meta_b.json"]),
    ],
)
def test_a_file_that_is_no_caption_is_named_and_nothing_is_written(place, name, content, says):
    write(place / "train" / name, content)
    before = files_of(place)
    for where in (["new"], ["--in-place"], ["--dry-run"]):
        assert_refused(booru(place, "captions", "train", *where, "--clean"), *says)
    assert files_of(place) == before


def test_what_cannot_be_done_is_refused_in_a_sentence(place):
    (place / "empty").mkdir()
    (place / "there").mkdir()
    before = files_of(place)
    for arguments, says in [
        (["train", "new"], "nothing is asked"),
        (["train", "new", "--clean", "--in-place"], "say where the captions go, once"),
        (["train", "--clean"], "say where the captions go, once"),
        (["nowhere", "new", "--clean"], "nowhere is not there"),
        (["empty", "new", "--clean"], "empty has no captions"),
        (["train", "there", "--clean"], "there is there already"),
        (["train", "train", "--clean"], "is in what is read"),
        (["train", "train/new", "--clean"], "is in what is read"),
        (["train", "no/new", "--clean"], "no is no folder that is there"),
        (["train", "train/1.txt/new", "--clean"], "is in what is read"),
        (["train/1.png", "new", "--clean"], "neither a folder nor"),
        (["train", "new", "--expand", "--consolidate"], "give one of them"),
        (["train", "new", "--separator", " "], "is not a comma"),
        (["train", "new", "--trigger", "a,b"], "not one word or phrase"),
        (["train", "/proc/new", "--clean"], "/proc/new cannot be written"),
    ]:
        assert_refused(booru(place, "captions", *arguments), says)
    assert files_of(place) == before
    assert sorted(os.listdir(place)) == ["empty", "there", "train"]


def test_links_are_read_and_never_written_through(place):
    write(place / "outside" / "o.txt", "bunny_ears")
    (place / "train" / "link.txt").symlink_to(place / "outside" / "o.txt")
    (place / "train" / "folder").symlink_to(place / "outside")
    before = files_of(place)
    assert_refused(booru(place, "captions", "train", "--in-place", "--clean"), "link.txt is a link")
    assert files_of(place) == before
    done(booru(place, "captions", "train", "new", "--clean"))
    assert (place / "new" / "link.txt").read_text() == "rabbit_ears"
    assert not (place / "new" / "link.txt").is_symlink()
    assert not (place / "new" / "folder").exists()
    (place / "train" / "lost.txt").symlink_to(place / "nowhere")
    assert_refused(booru(place, "captions", "train", "newer", "--clean"), "lost.txt cannot be read: it leads nowhere")


def test_a_disk_that_fills_up_in_the_middle_leaves_what_was_there(place):
    limit = 'ulimit -f 1; trap "" XFSZ; exec "$@"'  # no file of more than 1,024 bytes
    write(place / "train" / "long.txt", ", ".join(f"tag{n}" for n in range(400)))
    before = files_of(place)
    for where in (["new"], ["--in-place"]):
        command = ["bash", "-c", limit, "-", BOORU, "captions", "train", *where, "--trigger", "ohwx"]
        result = subprocess.run(command, cwd=place, env=environment(), capture_output=True, text=True)
        assert result.returncode == 1
        assert "cannot be written: File too large" in result.stderr
        assert "Traceback" not in result.stderr
    assert files_of(place) == before
    assert sorted(os.listdir(place)) == ["train"]


def killed_when(place, seen, *arguments):
    """Start the command, and kill it once something is seen."""
    process = subprocess.Popen([BOORU, "captions", *arguments], cwd=place, env=environment(), stdout=subprocess.PIPE)
    until = time.monotonic() + 60
    while process.poll() is None and not seen() and time.monotonic() < until:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.fixture
def many(place):
    for number in range(MANY):
        write(place / "train" / f"{number % 7}" / f"{number}.txt", f"bunny_ears, tag{number}")
    return place


def test_a_kill_leaves_no_half_of_an_output(many):
    for name in ("first", "second"):
        killed_when(many, lambda name=name: any(many.glob(f".{name}.*/draft/3")), "train", name, "--clean")
        assert not (many / name).exists() or len(files_of(many / name)) == MANY + 3
    done(booru(many, "captions", "train", "first" if not (many / "first").exists() else "third", "--clean"))


def test_a_kill_in_place_leaves_each_file_whole_and_all_of_them_aside(many):
    before = files_of(many / "train")
    killed_when(many, lambda: any(many.glob("train.backup-*")), "train", "--in-place", "--clean")
    after = {name: text for name, text in files_of(many / "train").items() if not name.endswith(".new")}
    assert after.keys() == before.keys()
    for name, text in after.items():
        assert text in (before[name], before[name].replace(b"bunny", b"rabbit"))
    [backup] = many.glob("train.backup-*")
    changed = {name: text for name, text in before.items() if b"bunny" in text and not name.startswith(".")}
    assert files_of(backup) == changed
    done(booru(many, "captions", "train", "--in-place", "--clean"))
    assert files_of(backup) == changed
    final = files_of(many / "train")
    assert {name: final[name] for name in changed} == {
        name: text.replace(b"bunny", b"rabbit") for name, text in changed.items()
    }


def test_a_terminal_gets_no_control_bytes(place):
    write(place / "train" / "1.txt", "bunny ears, \x1b]0;x\x07evil, \x9b31m")
    shown, status = on_terminal(place, "captions", "train", "--dry-run", "--clean", "--remove", "evil*")
    assert status == 0
    assert "\x1b]0" not in shown
    assert "\x9b" not in shown
    assert "\\x1b]0;x\\x07evil" in shown
