"""Where label embeddings of `tiny` start: labels seen with the same company lie close to each other."""

import numpy as np
import numpy.typing as npt
from scipy import sparse

from booru_pipeline.labels.posts import Posts


def label_vectors(posts: Posts, labels: int, width: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Truncated SVD of the positive pointwise mutual information of labels that share a post.

    PPMI(a, b) = max(0, log(P(a, b) / (P(a) P(b)))); its rank-`width` factor U sqrt(S) is what skip-gram with negative
    sampling approximates (Levy and Goldberg 2014, "Neural word embedding as implicit matrix factorization").

    Args:
        posts: The posts of the train split.
        labels: Size of the vocabulary.
        width: Numbers per label; ranks that the data does not have are filled with zeros.
        seed: For the starting vector of the iteration.

    Returns:
        float32 [labels, width], scaled to a mean square of 1, that of T5's own random rows.
    """
    seen = sparse.csr_matrix((np.ones(len(posts.rows)), posts.rows, posts.offsets), shape=(len(posts), labels))
    pairs = (seen.T @ seen).tocoo()
    total = pairs.data.sum()
    share = np.maximum(np.asarray(pairs.sum(axis=1)).ravel(), 1.0) / total
    information = np.log(pairs.data / total / (share[pairs.row] * share[pairs.col]))
    positive = information > 0
    ppmi = sparse.csr_matrix(
        (information[positive], (pairs.row[positive], pairs.col[positive])), shape=(labels, labels)
    )
    rank = min(width, labels - 1)
    start = np.random.default_rng(seed).standard_normal(labels)
    left, strength, _ = sparse.linalg.svds(ppmi, k=rank, v0=start)
    vectors = np.zeros((labels, width), dtype=np.float32)
    vectors[:, :rank] = left * np.sqrt(strength)
    # The root mean square, unlike the variance, is the same whatever signs the singular vectors come with.
    return vectors / max(float(np.sqrt(np.square(vectors).mean())), 1e-8)
