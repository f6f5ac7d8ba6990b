"""One question to a checkpoint, in one call."""

from contextlib import contextmanager

import duckdb

from booru_pipeline.errors import BooruError
from booru_pipeline.model.predictor import Predictor
from booru_pipeline.model.suggest.asking import Asker, Request
from booru_pipeline.model.suggest.counting import PostCounter
from booru_pipeline.model.suggest.filters import Filters
from booru_pipeline.training_shards.shards import shard_files


@contextmanager
def opened(checkpoint, shards, relations, thresholds=None):
    with duckdb.connect() as connection:
        counter = PostCounter(connection, shard_files(*shards))
        yield Asker(Predictor.load(checkpoint, graph=True), relations, counter, thresholds=thresholds)


def ask(tags, *, checkpoint, shards, relations, top=10, filters=None, explained=False, thresholds=None):
    with opened(checkpoint, shards, relations, thresholds) as asker:
        [answer] = asker.ask([Request(tuple(tags), top, filters or Filters(), explained)])
    if isinstance(answer, BooruError):
        raise answer
    return answer


def suggest(tags, *, categories=(), exclude=(), hide_implied=False, min_support=0, **options):
    filters = Filters(tuple(categories), tuple(exclude), hide_implied, min_support)
    return ask(tags, filters=filters, **options).suggestions


def complete(tags, *, checkpoint, shards, relations, thresholds=None, **how):
    with opened(checkpoint, shards, relations, thresholds) as asker:
        return asker.complete(tags, **how)
