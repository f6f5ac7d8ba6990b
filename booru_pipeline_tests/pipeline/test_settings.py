"""Where settings come from, and what is refused, in which words."""

import re

import pytest

from booru_pipeline.errors import BooruError
from booru_pipeline.pipeline.layers import option_paths
from booru_pipeline.pipeline.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """An empty working directory, whose booru.toml a test writes."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(*overrides, **flags):
    with pytest.raises(BooruError) as caught:
        load_settings(overrides, **flags)
    message = str(caught.value)
    assert "Input should" not in message
    assert "errors.pydantic" not in message
    assert all(line.isprintable() for line in message.splitlines())
    return message


def refused_or_not():
    try:
        load_settings()
    except BooruError:
        return refusal()
    return None


def test_set_wins_over_flags_they_over_the_environment_and_that_over_the_file(place, monkeypatch):
    (place / "booru.toml").write_text(
        'preset = "t5-small"\nhome = "from_file"\n[checkpoint]\nseed = 1\nmax_steps = 9\nepochs = 1\n'
    )
    monkeypatch.setenv("BOORU_HOME", "from_environment")
    monkeypatch.setenv("BOORU_CHECKPOINT__SEED", "2")
    overrides = ["checkpoint.epochs=3", "checkpoint.time_limit_s=5", "checkpoint.epochs=4"]
    settings = load_settings(overrides, preset="tiny", raw=None, checkpoint={"time_limit_s": 10, "epochs": 2})
    assert (settings.preset, str(settings.home), str(settings.raw)) == ("tiny", "from_environment", "booru_raw")
    training = settings.checkpoint
    assert (training.seed, training.max_steps, training.epochs, training.time_limit_s) == (2, 9, 4, 5)
    assert settings.lake.home == place / "from_environment"
    paths = [("checkpoint", "epochs"), ("preset",), ("home",), ("checkpoint", "max_steps"), ("raw",)]
    assert [settings.source(*path) for path in paths] == ["--set", "--preset", "BOORU_HOME", "booru.toml", None]


@pytest.mark.parametrize(
    ("override", "section", "value"),
    [
        ("checkpoint.learning_rate=0.005", "checkpoint", 0.005),
        ("checkpoint.optimizer=adamw", "checkpoint", "adamw"),
        ('checkpoint.optimizer = "adamw"', "checkpoint", "adamw"),
        ("checkpoint.compile=true", "checkpoint", True),
        ("checkpoint.hidden_shares=[0.1, 0.9]", "checkpoint", [0.1, 0.9]),
        ("training_shards.salt=2021", "training_shards", "2021"),
        ("training_shards.salt=a=b", "training_shards", "a=b"),
        ("checkpoint.wandb_project=", "checkpoint", ""),
        ('store.options={anon = true, client_kwargs = {region_name = "eu"}}', "store", None),
    ],
)
def test_what_is_set_is_toml_or_text(override, section, value):
    name = override.partition(".")[2].partition("=")[0].strip()
    found = getattr(getattr(load_settings([override]), section), name)
    assert found == (value if value is not None else {"anon": True, "client_kwargs": {"region_name": "eu"}})


@pytest.mark.parametrize("override", ["checkpoint.seed", "=3", "checkpoint.=3", ".seed=3", "a.b.c=3", "\x1b[31m"])
def test_what_is_no_setting_by_its_form_is_refused(override):
    assert "write section.name=value" in refusal(override)


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("BOORU_CHEKPOINT__LEARNING_RATE", "BOORU_CHECKPOINT__LEARNING_RATE"),
        ("BOORU_CHECKPOINT__LEARNING_RAET", "BOORU_CHECKPOINT__LEARNING_RATE"),
        ("BOORU_CHECKPOINT_LEARNING_RATE", "BOORU_CHECKPOINT__LEARNING_RATE"),
        ("BOORU_LEARNING__RATE", "BOORU_CHECKPOINT__LEARNING_RATE"),
        ("BOORU_VOCABULARY__EPOCHS", "BOORU_CHECKPOINT__EPOCHS"),
        ("BOORU_STORE_URL", "BOORU_STORE__URL"),
        ("booru_hoem", "BOORU_HOME"),
        ("BOORU_CONFG", "BOORU_CONFIG"),
        ("BOORU_ZZZ__QQQ", None),
    ],
)
def test_a_variable_that_was_meant_for_a_setting_is_refused(monkeypatch, variable, meant):
    monkeypatch.setenv(variable, "3")
    expected = f"Did you mean {meant}?" if meant else "`booru settings` lists all."
    assert refusal() == f"{variable.upper()} is no setting. {expected}"


def test_variables_of_others_pass(monkeypatch):
    for name in ("SCREENSHOTS", "PARENT", "TRAINING_POD", "BENCHMARK_IMPORTS", "SERVICE_HOST", "PORT", "PORT_3000_TCP"):
        monkeypatch.setenv(f"BOORU_{name}", "tcp://10.0.0.1:3000")
    assert load_settings().model_dump() == Settings().model_dump()


def test_an_empty_variable_is_the_empty_text_or_not_set(monkeypatch):
    empty = ["HOME", "RELATIONS", "CONFIG", "CHECKPOINT__EPOCHS", "CHECKPOINT__OPTIMIZER", "VOCABULARY__CATEGORIES"]
    for name in [*empty, "CHECKPOINT__WANDB_PROJECT", "AUTOMATION__CRON", "SKIP_AMBIGUOUS_ALIASES"]:
        monkeypatch.setenv(f"BOORU_{name}", "")
    settings = load_settings()
    assert (settings.checkpoint.wandb_project, settings.automation.cron) == ("", "")
    expected = load_settings(checkpoint={"wandb_project": ""}, automation={"cron": ""})
    assert settings.model_dump() == expected.model_dump()
    monkeypatch.setenv("BOORU_PRESET", "")
    assert refusal() == "BOORU_PRESET: setting preset is empty; allowed: text, not empty."


def test_lists_and_tables_of_the_environment_are_json(monkeypatch):
    monkeypatch.setenv("BOORU_VOCABULARY__CATEGORIES", "[0, 4]")
    monkeypatch.setenv("BOORU_CHECKPOINT", '{"epochs": 3}')
    settings = load_settings()
    assert (settings.vocabulary.categories, settings.checkpoint.epochs) == ([0, 4], 3)
    monkeypatch.setenv("BOORU_VOCABULARY__CATEGORIES", "0,4")
    assert refusal() == (
        "BOORU_VOCABULARY__CATEGORIES: setting vocabulary.categories is '0,4'; allowed: list of whole number, as JSON, "
        "such as [0, 3, 4]."
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("hom = 1", "booru.toml line 1: there is no setting hom. Did you mean home, above all sections?"),
        ("[chekpoint]\nseed = 1", "booru.toml line 1: there is no setting chekpoint. Did you mean [checkpoint]?"),
        ("\n\nepochs = 3", "booru.toml line 3: there is no setting epochs. Did you mean [checkpoint] epochs?"),
        (
            '[checkpoint]\n# learning\n"learning_raet" = 3',
            "booru.toml line 3: there is no setting checkpoint.learning_raet. Did you mean [checkpoint] learning_rate?",
        ),
        (
            "checkpoint.sed = 3",
            "line 1: there is no setting checkpoint.sed. Did you mean [checkpoint] seed?",
        ),
        ("checkpoint = {sed = 3}", "booru.toml: there is no setting checkpoint.sed. Did you mean [checkpoint] seed?"),
        ("[automation]\nnonsense = 3", "there is no setting automation.nonsense. `booru settings` lists all."),
        ("[vocabulary]\nmin_general_posts = 0", "line 2: setting vocabulary.min_general_posts is 0; allowed: whole nu"),
        ("[checkpoint]\nepochs = 'x'", "booru.toml line 2: setting checkpoint.epochs is 'x'; allowed: number >= 0."),
        ('[checkpoint]\nprecision = "fp16"', "setting checkpoint.precision: fp16 overflows in T5"),
        ("[checkpoint]\nhidden_share_min = 0.9\nhidden_share_max = 0.1", "hidden_share_min 0.9 is above"),
        (
            "[training_shards]\ntest_share = 0",
            "training_shards.test_share is 0; allowed: number > 0 and < 0.5.",
        ),
        ("checkpoint = 3", "booru.toml line 1: setting checkpoint is 3; allowed: a section."),
        ("preset = 3", "booru.toml line 1: setting preset is 3; allowed: text, not empty."),
        ('[checkpoint]\n"\\u001b[31m" = 3', "there is no setting checkpoint.\\x1b[31m."),
        ('[checkpoint]\nobjective = "\\u001b[31m"', "is '\\x1b[31m'; allowed: auto or present or set"),
        ("= broken", "booru.toml is no TOML"),
        (b"\xff", "booru.toml is no UTF-8 text"),
    ],
)
def test_what_the_file_has_wrong_is_named_with_its_line(place, content, says):
    (place / "booru.toml").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert says in refusal()


def test_everything_that_is_wrong_is_said_at_once(place, monkeypatch):
    (place / "booru.toml").write_text("[checkpoint]\nseed = -1\n")
    monkeypatch.setenv("BOORU_CHECKPOINT__EPOCHS", "many")
    assert refusal("retention.days=-3", checkpoint={"time_limit_s": -2}).splitlines() == [
        "--time-limit: setting checkpoint.time_limit_s is -2; allowed: number >= 0.",
        "BOORU_CHECKPOINT__EPOCHS: setting checkpoint.epochs is 'many'; allowed: number >= 0.",
        "booru.toml line 2: setting checkpoint.seed is -1; allowed: whole number >= 0.",
        "--set: setting retention.days is -3; allowed: number >= 0.",
    ]


@pytest.mark.parametrize("path", option_paths(Settings), ids=".".join)
def test_no_value_of_any_option_gets_a_message_of_pydantic(monkeypatch, path):
    variable = "BOORU_" + "__".join(path).upper()
    for value in ("\x1b[31m", "-1", "[[1]]", '{"a": {"password": 1}}', "1e400"):
        monkeypatch.setenv(variable, value)
        message = refused_or_not()
        assert message is None or re.match(rf"{variable}: setting {re.escape('.'.join(path))}(:| is | has )", message)


def test_a_config_file_that_was_named_must_be_there(place, monkeypatch):
    monkeypatch.setenv("BOORU_CONFIG", str(place / "absent.toml"))
    assert "absent.toml, which is not there" in refusal()


def test_every_setting_has_a_description():
    for name, field in Settings.model_fields.items():
        nested = getattr(field.annotation, "model_fields", None)
        assert nested or field.description, name
        for inner, info in (nested or {}).items():
            assert info.description, f"{name}.{inner}"
