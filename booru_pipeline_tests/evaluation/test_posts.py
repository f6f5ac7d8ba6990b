import numpy as np
import pytest
from datasets import Dataset, DatasetDict, load_from_disk

from booru_pipeline.dataset.posts import incidence, load_posts, open_splits
from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation.comparison.leakage import Leaks, find_leaks
from booru_pipeline.vocabulary.vocabulary import Vocabulary


def test_captions_come_back_as_rows_of_the_vocabulary(world):
    vocabulary = Vocabulary.load(world.vocabulary)
    posts = load_posts(world.dataset, "test", labels=len(vocabulary), about=True)
    plain = load_from_disk(str(world.dataset))["test"].to_list()
    assert len(posts) == len(plain) > 0
    for name in ("booru", "fid", "group_md5", "release"):
        assert posts.column(name) == [post[name] for post in plain]
    assert [own.tolist() for own in posts.labels] == [sorted(post["label_rows"]) for post in plain]


def test_what_is_said_of_posts_goes_with_them(world):
    posts = load_posts(world.dataset, "test", about=True)
    few = posts.take([5, 2])
    assert few.column("fid") == [posts.column("fid")[row] for row in (5, 2)]
    assert [own.tolist() for own in few.labels] == [posts.labels[row].tolist() for row in (5, 2)]
    assert posts.keep(posts.rows > 3).column("fid") == posts.column("fid")
    with pytest.raises(ValueError, match="no group_md5"):
        load_posts(world.dataset, "test").column("group_md5")


def test_an_empty_split_is_no_posts(world, tmp_path):
    splits = load_from_disk(str(world.dataset))
    splits["test"] = splits["test"].select([])
    splits.save_to_disk(tmp_path / "empty")
    saved = open_splits(tmp_path / "empty")
    none = load_posts(tmp_path / "empty", "test", labels=10, about=True)
    assert (len(none), none.labels, none.column("fid")) == (0, [], [])
    assert len(saved["train"]) == len(splits["train"])
    assert not find_leaks(tmp_path / "empty")


def test_a_row_of_another_vocabulary_is_refused(world):
    with pytest.raises(BooruError, match="train split holds a row"):
        load_posts(world.dataset, "train", labels=3)


def test_a_folder_that_is_no_data_set_is_named(tmp_path):
    Dataset.from_dict({"fid": [1]}).save_to_disk(tmp_path / "no_splits")
    for folder in (tmp_path / "nothing", tmp_path / "no_splits"):
        with pytest.raises(BooruError, match=f"no dataset at {folder}"):
            open_splits(folder)
    DatasetDict(train=Dataset.from_dict({"fid": [1]})).save_to_disk(tmp_path / "train")
    with pytest.raises(BooruError, match="no test split"):
        open_splits(tmp_path / "train")


def test_incidence_is_1_where_a_post_has_the_label():
    matrix = incidence([[2, 0], np.array([], dtype=np.int64), (1,)], 4).toarray()
    assert matrix.tolist() == [[1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0]]


def test_a_sound_data_set_shares_no_picture(world):
    assert not find_leaks(world.dataset)


def test_planted_leaks_are_counted_once_a_picture(world, tmp_path):
    splits = open_splits(world.dataset)
    leaked = [splits["test"][row]["group_md5"] for row in (0, 1, 2)]
    train = splits["train"].to_list()
    for row in range(6):
        train[row]["group_md5"] = leaked[row % 3]
    validation = splits["validation"].to_list()
    validation[0]["group_md5"] = leaked[0]
    features = splits["train"].features
    DatasetDict(
        train=Dataset.from_list(train, features=features),
        validation=Dataset.from_list(validation, features=features),
        test=splits["test"],
    ).save_to_disk(tmp_path / "leaky")
    assert find_leaks(tmp_path / "leaky") == Leaks(groups=len(set(leaked)), posts=0)
