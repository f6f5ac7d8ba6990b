"""`make` finds a Python, and its demo has places of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REAL = Path(sys.executable).resolve()
FAILS = "#!/bin/sh\necho 'pyenv: not found' >&2\nexit 127\n"  # as a shim of pyenv without such a version
OLD = '#!/bin/sh\nexec "{real}" -c "raise SystemExit(1)"\n'  # no answer that an old one gives is another
NO_VENV = '#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; esac\nexec "{real}" "$@"\n'  # Debian's without its package
GOOD = '#!/bin/sh\nexec "{real}" "$@"\n'
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="needs make on the PATH: apt install make")
REMEDY = "apt install python3 python3-venv"


@pytest.fixture
def make_venv(tmp_path):
    """Runs make_venv.sh where these Pythons and nothing else are on the PATH, folder after folder."""

    def run(*folders, named=""):
        places = [tmp_path / str(number) for number in range(len(folders))]
        for place, pythons in zip(places, folders, strict=True):
            place.mkdir()
            for name, text in pythons.items():
                (place / name).write_text(text.format(real=REAL))
                (place / name).chmod(0o755)
        return subprocess.run(
            [shutil.which("sh"), ROOT / "make_venv.sh", "venv", named],
            cwd=tmp_path,
            env={"PATH": os.pathsep.join(map(str, places))},
            capture_output=True,
            text=True,
        )

    return run


@pytest.mark.parametrize(
    "folders",
    [
        [{"python3.12": GOOD}],
        [{"python3.11": FAILS, "python3": OLD, "python3.13": GOOD}],
        [{"python3": OLD, "python3.11": NO_VENV}, {"python3": GOOD}],
    ],
    ids=["3.12", "3.13 beside broken and old ones", "python3 behind an old one and one without venv"],
)
def test_any_python_that_works_is_taken(make_venv, tmp_path, folders):
    result = make_venv(*folders)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "venv" / "bin" / "pip").is_file()


@pytest.mark.parametrize(
    ("pythons", "named", "says"),
    [
        ({}, "", ["no Python from 3.11 to 3.13", REMEDY]),
        ({"python3": OLD, "python3.11": FAILS}, "", ["no Python from 3.11 to 3.13", REMEDY]),
        ({"python3.12": NO_VENV}, "", ["python3.12 cannot make virtual environments", "-venv)"]),
        ({"python3.12": GOOD}, "/no/python", ["PYTHON=/no/python does not start, or is older", REMEDY]),
    ],
    ids=["none", "old and broken", "without venv", "a named one that is not there"],
)
def test_else_one_sentence_says_what_to_install(make_venv, tmp_path, pythons, named, says):
    result = make_venv(pythons, named=named)
    assert result.returncode == 1
    [line] = result.stderr.splitlines()
    for text in says:
        assert text in line
    assert not (tmp_path / "venv").exists()


def test_the_one_that_is_named_wins_and_an_environment_that_is_there_stays(make_venv, tmp_path):
    assert make_venv({"python3.11": FAILS}, named=str(REAL)).returncode == 0
    (tmp_path / "venv" / "mine").touch()
    shutil.rmtree(tmp_path / "0")
    assert make_venv({}).returncode == 0
    assert (tmp_path / "venv" / "mine").exists()


@needs_make
def test_the_demo_has_its_own_places_and_dev_opens_them_unless_others_are_named():
    def lines(target, **settings):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BOORU_")}
        done = subprocess.run(
            ["make", "--dry-run", target, f"VENV={sys.prefix}"],
            cwd=ROOT,
            env={**environment, **settings},
            capture_output=True,
            text=True,
            check=True,
        )
        return [line for line in done.stdout.splitlines() if "/bin/booru" in line]

    places = "BOORU_RAW=booru_sample/raw BOORU_HOME=booru_sample/home BOORU_RELATIONS=booru_sample/raw"
    theirs = {"BOORU_RAW": "/real", "BOORU_HOME": "/real/home", "BOORU_STORE__URL": "s3://real"}
    *commands, line = lines("demo", **theirs)
    assert [command.split()[-1] for command in commands] == ["sample", "run", "usada_pekora", "--summary"]
    assert all(f"{places} BOORU_STORE__URL= " in command for command in commands)
    assert f"export BOORU_RAW='{ROOT}/booru_sample/raw' BOORU_HOME='{ROOT}/booru_sample/home'" in line
    assert lines("dev")[-1].startswith(places)
    assert "booru_sample" not in lines("dev", BOORU_HOME="/real/home")[-1]


@needs_make
def test_what_is_imported_is_compiled_once_wherever_make_is_called(tmp_path):
    (tmp_path / "Makefile").write_text(
        f"include {ROOT}/Makefile\nseen:\n\t@{REAL} -c 'import sys; print(sys.dont_write_bytecode)'\n"
    )
    done = subprocess.run(
        ["make", "--no-print-directory", "seen", f"VENV={sys.prefix}"],  # make may have started the tests, and says so
        cwd=tmp_path,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "MAKEFLAGS": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"
