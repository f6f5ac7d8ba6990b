import json
import logging
import time
from pathlib import Path

import pytest

from booru_pipeline.evaluation.report.summary import methods_table
from booru_pipeline.evaluation.report.tracking import TABLE, record_methods
from booru_pipeline_tests.evaluation.made_findings import findings, result
from booru_pipeline_tests.training.process import wait_until

LOG = logging.getLogger("test")
FOUND = findings(at_10=result(), at_50=result())


def checkpoint(folder: Path, **provenance) -> Path:
    (folder / "provenance.json").write_text(json.dumps(provenance))
    return folder


def test_the_table_has_a_row_a_method_and_share():
    columns, rows = methods_table(FOUND)
    assert columns == ["hidden", "method", "recall@10", "MRR"]
    assert len(rows) == 6
    assert rows[0] == (0.1, "model", 0.45, 0.7)
    assert (0.5, "EASE", 0.4, 0.6) in rows


def test_the_table_goes_to_the_training_s_run(tmp_path, caplog):
    trained = checkpoint(
        tmp_path, wandb="/home/wandb/wandb/offline-run-20260102_030405-abc123xy", options={"wandb_project": "p"}
    )
    folder = record_methods(FOUND, trained, tmp_path / "wandb", LOG)
    assert caplog.messages == []
    assert folder.parent == tmp_path / "wandb" / "wandb"
    assert folder.name.endswith("-abc123xy")
    (table,) = folder.glob("files/media/table/evaluation/*.table.json")
    columns, rows = methods_table(FOUND)
    assert json.loads(table.read_text())["columns"] == columns
    assert json.loads(table.read_text())["data"] == [list(row) for row in rows]
    (recorded,) = folder.glob("*.wandb")
    wait_until(lambda: TABLE.encode() in recorded.read_bytes())  # wandb's own process writes it, a little later


def test_another_evaluation_takes_the_place_of_the_one_before_and_leaves_the_training_s_run(tmp_path):
    home = tmp_path / "wandb" / "wandb"
    training = home / "offline-run-20260102_030405-abc123xy"
    other = home / "offline-run-20260102_030405-other123"
    for path in (training, other):
        path.mkdir(parents=True)
    trained = checkpoint(tmp_path, wandb=str(training), options={"wandb_project": "p"})
    first = record_methods(FOUND, trained, tmp_path / "wandb", LOG)
    wait_until(lambda: time.strftime("%Y%m%d_%H%M%S") not in first.name)  # wandb names folders by the second
    second = record_methods(FOUND, trained, tmp_path / "wandb", LOG)
    assert set(home.glob("offline-run-*")) == {training, other, second}


@pytest.mark.parametrize("provenance", [{}, {"wandb": None, "options": {"wandb_project": "p"}}])
def test_a_training_without_wandb_is_left_alone(tmp_path, provenance):
    assert record_methods(FOUND, checkpoint(tmp_path, **provenance), tmp_path / "wandb", LOG) is None
    assert not (tmp_path / "wandb").exists()


def test_wandb_s_failure_is_no_failure_of_the_evaluation(tmp_path, caplog):
    (tmp_path / "wandb").write_text("a file where a folder should be")
    trained = checkpoint(tmp_path, wandb="offline-run-20260102_030405-abc123xy", options={"wandb_project": "p"})
    assert record_methods(FOUND, trained, tmp_path / "wandb", LOG) is None
    assert "wandb did not start" in caplog.text
