"""The command that asks a checkpoint."""

import csv
import json
import re
import shutil
import subprocess

import pyarrow.parquet as pq
import pytest

from booru_pipeline_tests.cli.command import BOORU, assert_refused, booru, environment, on_terminal, piped

NEVER_TOGETHER = ("usada_pekora", "hatsune_miku", "kirisame_marisa", "smile")


def test_suggest_gives_probability_category_and_counts(workplace):
    result = booru(workplace, "suggest", "usada_pekora", "--top", "5", "--json")
    assert result.returncode == 0, result.stderr
    suggestions = json.loads(result.stdout)
    assert len(suggestions) == 5
    assert all(0 <= item["probability"] <= 1 and item["together"] <= item["given"] for item in suggestions)
    assert sorted((item["probability"] for item in suggestions), reverse=True) == [
        item["probability"] for item in suggestions
    ]
    assert_refused(booru(workplace, "suggest", "usada_pekorra"), "usada_pekora")


def test_suggest_asks_for_what_an_alias_stands_for_and_marks_what_is_implied(workplace):
    asked = booru(workplace, "suggest", "rabbit_ears", "--top", "400", "--json")
    alias = booru(workplace, "suggest", "Bunny Ears", "--top", "400", "--json")
    assert alias.stdout == asked.stdout
    # Where its evaluation speaks against the only checkpoint, it is asked all the same, and that is said.
    is_promoted = (workplace / "booru_home" / "promoted.json").exists()
    notes = [] if is_promoted else ["no checkpoint is promoted: the newest is taken, 2021a"]
    assert asked.stderr.splitlines() == notes
    assert sorted(alias.stderr.splitlines()) == ["bunny_ears is an alias: asking for rabbit_ears", *notes]
    assert [item["tag"] for item in json.loads(asked.stdout) if item["implied"]] == ["animal_ears"]
    shown = booru(workplace, "suggest", "rabbit_ears", "--top", "400").stdout
    (line,) = [line for line in shown.splitlines() if "│ animal_ears " in line]
    assert "yes" in line
    assert shown.count(" yes ") == 1
    assert " 100 % " in line
    assert "implied: Danbooru adds these by itself" in shown
    hidden = booru(workplace, "suggest", "rabbit_ears", "--top", "400", "--hide-implied").stdout
    assert "animal_ears " not in hidden
    assert "implied" not in hidden


def test_json_says_what_was_observed(workplace):
    plain = json.loads(booru(workplace, "suggest", "usada_pekora", "--json").stdout)
    explained = json.loads(booru(workplace, "suggest", "usada_pekora", "--json", "--explain").stdout)
    for item, other in zip(plain, explained, strict=True):
        assert item["observed"] == {
            "tags": ["usada_pekora"],
            "posts": item["given"],
            "together": item["together"],
            "share": item["share"],
        }
        assert item["explanation"] is None
        why = other.pop("explanation")
        assert set(why) == {"t5", "strongest", "without", "probability_without"}
        assert why["strongest"] == item["observed"]
        assert other == {key: value for key, value in item.items() if key != "explanation"}


def test_the_largest_part_that_was_seen_is_named(workplace):
    shown = booru(workplace, "suggest", *NEVER_TOGETHER)
    text = " ".join(shown.stdout.split())
    said = re.search(
        rf"no post has all of {', '.join(NEVER_TOGETHER)}; observed: on the (\d+) posts? with (.+?, smile)", text
    )
    assert said is not None, shown.stdout
    assert "0 of 0" not in shown.stdout
    as_json = booru(workplace, "suggest", *NEVER_TOGETHER, "--json")
    items = json.loads(as_json.stdout)
    assert {(item["observed"]["posts"], ", ".join(item["observed"]["tags"])) for item in items} == {
        (int(said[1]), said[2])
    }
    assert {(item["given"], item["together"], item["share"]) for item in items} == {(0, 0, 0.0)}
    assert said[0] in as_json.stderr


def test_tags_that_hardly_stand_together_are_said(workplace):
    given = booru(workplace, "suggest", "solo", "2girls")
    assert re.search(r"solo and 2girls: 0 of \d+ posts with either \(by chance: \d+\)", given.stdout)
    pairs = booru(workplace, "suggest", "smile", "--top", "30", "--exclude", "simple_background")
    exclusive = re.findall(r"(\S+) and (\S+) exclude each other: together on \d+ of \d+ posts", pairs.stdout)
    assert exclusive
    items = json.loads(
        booru(workplace, "suggest", "smile", "--top", "30", "--exclude", "simple_background", "--json").stdout
    )
    excluded = {item["tag"]: {other["tag"] for other in item["excludes"]} for item in items}
    for first, second in exclusive:
        assert second in excluded[first]
        assert first in excluded[second]


@pytest.mark.parametrize("given", [["mahou_shoujo_madoka_magica"], ["rabbit_ears", "long_hair"], list(NEVER_TOGETHER)])
def test_eighty_columns_hold_it_all(workplace, given):
    shown = booru(workplace, "suggest", *given, "--explain", "--top", "40", COLUMNS="80")
    assert shown.returncode == 0, shown.stderr
    lines = shown.stdout.splitlines()
    assert max(len(line) for line in lines) <= 80
    assert "…" not in shown.stdout
    assert "nan" not in shown.stdout.lower().split()
    [header] = [line for line in lines if "┃ tag" in line]
    assert [cell.strip() for cell in header.split("┃")][1:5] == ["tag", "probability", "category", "observed"]
    rows = [[cell.strip() for cell in line.split("│")] for line in lines if line.startswith("│")]
    names = "".join(row[1] for row in rows)
    items = json.loads(booru(workplace, "suggest", *given, "--top", "40", "--json").stdout)
    assert names == "".join(item["tag"] for item in items)
    assert sum("T5 " in line and ", counting" in line for line in lines) == 40


def test_suggestions_are_narrowed(workplace):
    def tags(*options):
        result = booru(workplace, "suggest", "smile", "--json", *options)
        assert result.returncode == 0, result.stderr
        return [(item["tag"], item["category"], item["together"]) for item in json.loads(result.stdout)]

    assert {category for _, category, _ in tags("--category", "character")} == {"character"}
    several = tags("--category", "character,copyright", "--top", "200")
    assert {category for _, category, _ in several} == {"character", "copyright"}
    assert several == tags("--category", "character", "--category", "copyright", "--top", "200")
    assert not [
        tag for tag, _, _ in tags("--exclude", "*_hair", "--exclude", "1*") if tag.endswith("_hair") or tag[0] == "1"
    ]
    assert all(together >= 40 for _, _, together in tags("--min-support", "40", "--top", "200"))


def test_where_nothing_is_left_it_is_said(workplace):
    for form in ([], ["--json"]):
        nothing = booru(workplace, "suggest", "smile", "--category", "meta", *form)
        assert nothing.returncode == 0
        assert nothing.stdout.strip() == ("[]" if form else "")
        assert "nothing is left to suggest" in nothing.stderr
        assert "general, copyright, character" in nothing.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["smile", "--category", "generl"], ["no category generl", "general, artist, copyright, character, meta"]),
        (["smile", "--category", "general,"], ["no category without a name", "general, artist"]),
        (["smile", "--exclude", ""], ["--exclude is empty"]),
        (["smile", "--min-support", "-1"], ["--min-support is -1"]),
        (["smile", "--top", "0"], ["--top must be at least 1"]),
        (["\x1b[31msmile"], ["no label is called [31msmile"]),
        ([b"smile\xff"], ["no label is called smile\\xff"]),
    ],
)
def test_a_bad_question_is_refused_in_a_sentence(workplace, arguments, says):
    assert_refused(booru(workplace, "suggest", *arguments), *says)


def asked(result):
    assert result.returncode == 0, result.stderr
    return {tag for item in json.loads(result.stdout) for tag in item["observed"]["tags"]}


@pytest.mark.parametrize(
    "arguments",
    [
        ["1girl", "rabbit", "ears"],
        ["1girl,", "(rabbit", "ears:1.2)"],
        ["((rabbit ears)), [1girl] <lora:x:0.8>"],
        ["1girl rabbit ears, masterpiece", "highres"],
        ["-"],
    ],
)
def test_a_prompt_is_asked_about_as_its_tags_are(workplace, arguments):
    command = [BOORU, "suggest", *arguments, "--json"]
    result = subprocess.run(
        command, cwd=workplace, env=environment(), input="1girl\nrabbit ears\n", capture_output=True, text=True
    )
    assert asked(result) == {"1girl", "rabbit_ears"}
    assert "understood: 1girl, rabbit_ears" in result.stderr or arguments[0][:2] == "(("
    for word in ("masterpiece", "highres"):
        assert any(line.startswith("left out: ") and word in line for line in result.stderr.splitlines()) == any(
            word in argument for argument in arguments
        )


@pytest.mark.parametrize("face", ["-_-", "-o-", "---"])
def test_a_tag_may_begin_with_a_dash_wherever_the_options_stand(workplace, face):
    for arguments in (["smile", face, "--top", "3", "--json"], ["--json", "--top=3", face, "smile"]):
        result = booru(workplace, "suggest", *arguments)
        assert asked(result) == {"smile"}
        assert len(json.loads(result.stdout)) == 3
        assert f"left out: no label is called {face}" in result.stderr
    assert_refused(booru(workplace, "suggest", "--", face), f"no label is called {face}")


def test_an_option_that_is_none_is_refused(workplace):
    assert_refused(booru(workplace, "suggest", "smile", "-top", "3"), "there is no option -top. Write --top")
    unknown = booru(workplace, "suggest", "smile", "--tpo", "3")
    assert unknown.returncode == 2
    assert "--top" in unknown.stderr
    assert "Usage" in booru(workplace, "suggest", "-h").stdout


def test_names_that_were_meant_are_said(workplace):
    assert_refused(booru(workplace, "suggest", "ears"), "Did you mean animal_ears, ")
    assert_refused(booru(workplace, "suggest", "usada"), "Did you mean usada_pekora")
    assert_refused(booru(workplace, "suggest", "highres"), "highres is a meta tag: these are not learned")
    rare = piped(workplace, "sql", "select tag from tags where tag_cat = 0 group by tag having count(*) = 3 limit 1")
    tag = rare.stdout.splitlines()[1]
    assert_refused(booru(workplace, "suggest", tag), f"{tag} is on ", "too rare for a label, which needs 10")
    assert_refused(
        subprocess.run([BOORU, "suggest"], cwd=workplace, stdin=subprocess.DEVNULL, capture_output=True, text=True),
        "no tag is given. Name at least one, such as usada_pekora",
    )


def test_forty_columns_hold_the_tag(workplace):
    shown, status = on_terminal(workplace, "suggest", "rabbit_ears", columns=40)
    assert status == 0
    plain = re.sub(r"\x1b\[[\d;]*m", "", shown)
    assert max(map(len, plain.splitlines())) <= 40
    assert "│ animal_ears " in plain
    assert "100 %" in plain
    assert "…" not in plain


def test_a_pattern_that_no_label_has_is_said(workplace):
    result = booru(workplace, "suggest", "smile", "--exclude", "[", "--json")
    assert result.returncode == 0
    assert "no label matches --exclude '['" in result.stderr


def test_colons_are_no_pictures(workplace):
    assert "<lora:x:1>" in booru(workplace, "suggest", "smile <lora:x:1>").stderr


def test_a_list_of_deprecated_tags_changes_what_is_said_and_makes_nothing_stale(workplace, tmp_path):
    shutil.copytree(workplace / "booru_raw", tmp_path / "lists", ignore=shutil.ignore_patterns("Safebooru*"))
    (tmp_path / "lists" / "deprecated_tags.csv").write_text("name\nAnimal Ears\nrabbit_ears\n")
    lists = {"BOORU_RELATIONS": str(tmp_path / "lists")}
    plain = booru(workplace, "suggest", "rabbit_ears", "--top", "400", "--json")
    marked = booru(workplace, "suggest", "rabbit_ears", "--top", "400", "--json", **lists)
    others = [item for item in json.loads(plain.stdout) if item["tag"] != "animal_ears"]
    tags = [item["tag"] for item in json.loads(marked.stdout)]
    assert tags == [item["tag"] for item in others]
    [said] = [line for line in marked.stderr.splitlines() if "deprecated" in line]
    assert said.startswith("rabbit_ears is deprecated on Danbooru: ")
    assert booru(workplace, "status", "--json", **lists).stdout == booru(workplace, "status", "--json").stdout
    for seed in range(20):
        post = booru(workplace, "inspect", "--seed", str(seed), **lists).stdout
        if "deprecated on Danbooru" in post:
            break
    else:
        pytest.fail("no post has a deprecated tag")


def test_a_file_is_answered_line_by_line_as_each_line_alone(workplace, tmp_path):
    file = tmp_path / "posts.txt"
    file.write_text("usada pekora, 1girl\n\n1girl, no_such_tag, (bunny ears:1.2)\nnothing known\n", encoding="utf-8")
    result = booru(workplace, "suggest", "--file", str(file), "--top", "5", "--json")
    assert result.returncode == 0, result.stderr
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["line"] for row in rows] == [1] * 5 + [3] * 5
    for line, tags in ((1, ["usada_pekora", "1girl"]), (3, ["1girl", "rabbit_ears"])):
        alone = json.loads(booru(workplace, "suggest", *tags, "--top", "5", "--json").stdout)
        own = [row for row in rows if row["line"] == line]
        assert [row["tag"] for row in own] == [item["tag"] for item in alone]
        for row, item in zip(own, alone, strict=True):
            assert row["probability"] == pytest.approx(item["probability"], abs=1e-5)
            assert (row["category"], row["implied"]) == (item["category"], item["implied"])
    said = " ".join(result.stderr.split())
    assert "posts.txt, line 3: left out: no label is called no_such_tag" in said
    assert "posts.txt, line 4:" in said


def test_answers_for_a_file_are_written_as_its_name_says_and_nothing_is_overwritten(workplace, tmp_path):
    (tmp_path / "posts.txt").write_text("1girl\nusada_pekora\n", encoding="utf-8")
    ask = ("suggest", "--file", str(tmp_path / "posts.txt"), "--hide-implied", "--category", "general")
    for name in ("a.parquet", "a.csv", "a.jsonl"):
        assert booru(workplace, *ask, "--to", str(tmp_path / name)).returncode == 0
    table = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert {row["category"] for row in table} == {"general"}
    assert not any(row["implied"] for row in table)
    with (tmp_path / "a.csv").open() as file:
        assert [row["tag"] for row in csv.DictReader(file)] == [row["tag"] for row in table]
    assert [json.loads(line)["tag"] for line in (tmp_path / "a.jsonl").open()] == [row["tag"] for row in table]
    again = booru(workplace, *ask, "--to", str(tmp_path / "a.csv"))
    assert again.returncode == 1
    assert "is there already" in " ".join(again.stderr.split())


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"1girl\n\xff\xfe\n", "line 2: this is no UTF-8"), (b"\n \n", "no line with a label"), (None, "cannot be read")],
)
def test_a_file_without_posts_is_refused(workplace, tmp_path, content, said):
    path = tmp_path / "posts.txt"
    if content is not None:
        path.write_bytes(content)
    result = booru(workplace, "suggest", "--file", str(path), "--to", str(tmp_path / "a.csv"))
    assert result.returncode == 1
    assert said in " ".join(result.stderr.split())
    assert not (tmp_path / "a.csv").exists()


def test_a_file_goes_with_no_other_question(workplace, tmp_path):
    for more in (["1girl", "--file", "x"], ["--file", "x", "--explain"], ["--to", "x"]):
        assert "each line is a post" in " ".join(booru(workplace, "suggest", *more).stderr.split())


def test_a_post_is_asked_about_by_its_id(workplace):
    rows = booru(workplace, "sql", "select booru, fid from files order by fid limit 20", "--json").stdout
    post = next(row for row in json.loads(rows) if "split" in booru(workplace, "inspect", str(row["fid"])).stdout)
    asked = booru(workplace, "suggest", "--post", f"{post['booru']}/{post['fid']}", "--json")
    assert asked.returncode == 0, asked.stderr
    said = re.search(r"^(\S+) (\d+) \(2021a\), in the (\w+) split: (\d+) of (\d+) tags are labels$", asked.stderr, re.M)
    assert (said[1], int(said[2])) == (post["booru"], post["fid"])
    wanted = f"select tag from tags where booru = '{said[1]}' and fid = {said[2]}"
    tags = {row["tag"] for row in json.loads(booru(workplace, "sql", wanted, "--json").stdout)}
    labels = json.loads(booru(workplace, "suggest", "1girl", "--top", "10000", "--json").stdout)
    of_post = tags & {"1girl", *(item["tag"] for item in labels)}
    assert len(of_post) == int(said[4])
    by_hand = booru(workplace, "suggest", ", ".join(sorted(of_post)), "--json")
    assert json.loads(by_hand.stdout) == json.loads(asked.stdout)
    more = json.loads(booru(workplace, "suggest", "--post", str(post["fid"]), "hat", "--json").stdout)
    assert more[0]["given"] <= json.loads(asked.stdout)[0]["given"]
    assert_refused(booru(workplace, "suggest", "--post", "999999999"), "no post 999999999")
    for no_post in ("usada", "", " ", "/", str(10**20)):
        assert_refused(booru(workplace, "suggest", "--post", no_post), "names no post")
    for no_post in ("usada", " ", "/", str(10**20)):
        assert_refused(booru(workplace, "inspect", no_post), "names no post")


def test_the_order_of_the_tags_makes_no_difference(workplace):
    one, other = (booru(workplace, "suggest", *tags, "--json").stdout for tags in (("1girl", "hat"), ("hat", "1girl")))
    assert [(item["tag"], item["probability"]) for item in json.loads(one)] == [
        (item["tag"], item["probability"]) for item in json.loads(other)
    ]
