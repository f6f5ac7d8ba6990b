"""Ranking the whole vocabulary: what a ranker is asked, rankers in torch and by ONNX Runtime, and the first answers."""

from booru_pipeline.model.ranking.question import Question, Ranker, as_posts, best_of

__all__ = ["Question", "Ranker", "as_posts", "best_of"]
