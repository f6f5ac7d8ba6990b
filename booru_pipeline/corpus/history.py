"""Which releases came before one, and that none of them is left out unnoticed."""

from collections.abc import Collection, Iterable

from booru_pipeline.errors import BooruError
from booru_pipeline.release.key import release_order


def earlier_releases(release: str, known: Iterable[str], with_shards: Collection[str]) -> list[str]:
    """Releases before this one, in release order.

    Args:
        release: The release's key.
        known: Keys of the raw releases that are there, whole or not.
        with_shards: Keys of the releases whose training shards are there; the raw files may be gone.

    Raises:
        BooruError: An earlier release is known and has no shards: what is cumulative would silently lack it.
    """
    order = release_order(release)
    earlier = sorted({key for key in {*known, *with_shards} if release_order(key) < order}, key=release_order)
    for key in earlier:
        if key not in with_shards:
            raise BooruError(
                f"release {release} builds on {key}, which comes earlier and has no training shards yet. "
                f"Run `booru run --release {key} --to training_shards` first, or move {key} out of the raw folder."
            )
    return earlier
