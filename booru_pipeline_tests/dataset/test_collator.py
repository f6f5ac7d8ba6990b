"""The dataset on disk with the tools that everybody has: a plain DataLoader, and a plain Seq2SeqTrainer."""

import datasets
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments, T5Config, T5ForConditionalGeneration

from booru_pipeline.dataset.build import build_dataset
from booru_pipeline.dataset.captions import CaptionChoice
from booru_pipeline.dataset.collator import CaptionCollator, EpochOf, SequenceBatches
from booru_pipeline.dataset.masking import Masking
from booru_pipeline.dataset.options import CaptionOptions, DatasetOptions, MaskingOptions
from booru_pipeline.dataset.posts import load_posts
from booru_pipeline.lake.publish import Staging
from booru_pipeline.lake.record import Record
from booru_pipeline.vocabulary.build import build_vocabulary
from booru_pipeline.vocabulary.encoding import Encoding
from booru_pipeline.vocabulary.options import EncodingName, VocabularyOptions
from booru_pipeline_tests.vocabulary.labels import TINY

RECORD = Record(stage="tokenized_dataset", release="2021b", key="key")


@pytest.fixture(scope="module", params=list(EncodingName))
def made(request, shards, tmp_path_factory):
    """Vocabulary, dataset folder, and its splits, in either encoding."""
    folder = tmp_path_factory.mktemp(request.param)
    vocabulary = build_vocabulary(shards, TINY, folder / "v", Staging(folder / "s"), VocabularyOptions(), RECORD)
    options = DatasetOptions(encoding=request.param.value)
    build_dataset(shards, vocabulary, folder / "d", Staging(folder / "s"), options, RECORD)
    return vocabulary, folder / "d", datasets.load_from_disk(str(folder / "d"))


def collator_of(made, seed=0):
    vocabulary, folder, _ = made
    return CaptionCollator.from_folders(folder, vocabulary.folder, MaskingOptions(), seed)


def test_a_batch_is_padded_and_its_mask_is_the_inputs(made):
    collator = collator_of(made)
    special = made[0].special_tokens
    batch = collator([made[2]["train"][row] for row in range(32)])
    assert batch["input_ids"].shape == batch["attention_mask"].shape
    assert torch.equal(batch["input_ids"] != special.pad, batch["attention_mask"].bool())
    ends = batch["attention_mask"].sum(1) - 1
    assert (batch["input_ids"][torch.arange(32), ends] == special.eos).all()
    for target in batch["labels"]:
        used = target[target != -100]
        assert used[-1] == special.eos
        assert special.pad not in used
        assert (target[len(used) :] == -100).all()
    assert (batch["labels"] == -100).any()
    assert ((batch["labels"] != -100).sum(1) > 1).all()


def test_what_is_fed_decodes_to_the_posts_own_labels(made):
    vocabulary, folder, splits = made
    encoding = CaptionChoice.of(vocabulary, CaptionOptions(encoding=read_encoding(folder))).encoding
    rows = [splits["train"][row] for row in range(64)]
    batch = collator_of(made)(rows)
    for post, target in zip(rows, batch["labels"], strict=True):
        asked = encoding.decode(target[target != -100][:-1].tolist())
        assert set(asked) <= set(post["label_rows"])
        assert len(asked) == len(set(asked))


def read_encoding(folder):
    from booru_pipeline.dataset.build import DatasetSummary

    return DatasetSummary.read(folder).captions.encoding


@pytest.mark.parametrize("persistent", [False, True])
def test_workers_give_the_same_batches_as_none_and_each_epoch_others(made, persistent):
    train = made[2]["train"].select(range(60))
    collator = collator_of(made)
    alone = DataLoader(train, batch_size=16, collate_fn=collator)
    workers = DataLoader(train, batch_size=16, collate_fn=collator, num_workers=2, persistent_workers=persistent)
    epochs = []
    for epoch in range(3):
        collator.set_epoch(epoch)
        expected, found = list(alone), list(workers)
        assert len(found) == len(expected) == 4
        for ours, theirs in zip(expected, found, strict=True):
            assert all(torch.equal(ours[name], theirs[name]) for name in ours)
        epochs.append(torch.cat([batch["input_ids"].flatten() for batch in found]).tolist())
    assert epochs[0] != epochs[1] != epochs[2]
    collator.set_epoch(0)
    assert torch.cat([batch["input_ids"].flatten() for batch in alone]).tolist() == epochs[0]


def test_batches_made_of_arrays_are_those_of_the_collator(made):
    vocabulary, folder, splits = made
    collator = collator_of(made)
    batches = SequenceBatches(load_posts(folder, "train"), collator.masking)
    train = splits["train"].sort("post_key")  # in which order `load_posts` gives them
    for epoch in range(2):
        collator.set_epoch(epoch)
        batches.set_epoch(epoch)
        expected = collator([train[row] for row in (5, 3, 8)])
        found = batches.batch([5, 3, 8])
        assert all(torch.equal(expected[name], found[name]) for name in expected)
    lengths = batches.lengths(np.arange(50))
    encoding = Encoding.of(vocabulary, EncodingName(read_encoding(folder)))
    whole = [len(encoding.encode(rows)) for rows in train["label_rows"][:50]]
    assert lengths.tolist() == [min(length, collator.masking.choice.most_tokens) for length in whole]


def test_a_plain_seq2seq_trainer_learns_from_it(made, tmp_path):
    vocabulary, _, splits = made
    torch.manual_seed(0)
    special = vocabulary.special_tokens
    model = T5ForConditionalGeneration(
        T5Config(
            vocab_size=vocabulary.first_token_id + len(vocabulary),
            d_model=32,
            d_kv=8,
            d_ff=64,
            num_layers=1,
            num_heads=4,
            dropout_rate=0.0,
            pad_token_id=special.pad,
            eos_token_id=special.eos,
            decoder_start_token_id=special.pad,
        )
    )
    collator = collator_of(made)
    seen = []
    trainer = Seq2SeqTrainer(
        model,
        Seq2SeqTrainingArguments(
            output_dir=str(tmp_path),
            num_train_epochs=3,
            per_device_train_batch_size=32,
            learning_rate=5e-3,
            remove_unused_columns=False,
            train_sampling_strategy="group_by_length",
            report_to="none",
            save_strategy="no",
            logging_steps=5,
            disable_tqdm=True,
            dataloader_num_workers=1,
        ),
        train_dataset=splits["train"],
        eval_dataset=splits["validation"],
        data_collator=collator,
        callbacks=[EpochOf(collator)],
    )
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    seen = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert trainer.state.epoch == 3  # the origin's second epoch was empty
    assert int(collator._epoch) == 2
    assert seen[-1] < seen[0]
    assert trainer.evaluate()["eval_loss"] < before


def test_collators_with_other_seeds_hide_others(made):
    rows = [made[2]["train"][row] for row in range(8)]
    assert not torch.equal(collator_of(made, 1)(rows)["labels"], collator_of(made, 2)(rows)["labels"]) or (
        collator_of(made, 1)(rows)["input_ids"].shape != collator_of(made, 2)(rows)["input_ids"].shape
    )


def test_masking_is_what_from_folders_says(made):
    assert isinstance(collator_of(made).masking, Masking)
    assert collator_of(made).masking.choice.most_tokens == (64 if read_encoding(made[1]) == "labels" else 32)
