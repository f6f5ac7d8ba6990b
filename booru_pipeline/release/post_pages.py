"""The address of a post's page on its booru, for the boorus whose addresses are known; and posts that people name."""

import re
from typing import Final

from booru_pipeline.errors import BooruError, printable
from booru_pipeline.release.names import canonical_booru

# `{host}/posts/1`, as Danbooru's program and its kin write it.
_POSTS: Final = (
    "danbooru.donmai.us",
    "safebooru.donmai.us",
    "testbooru.donmai.us",
    "e621.net",
    "e926.net",
    "anime-pictures.net",
    "chan.sankakucomplex.com",
    "idol.sankakucomplex.com",
)
# `{host}/post/show/1`: Moebooru.
_MOEBOORU: Final = ("behoimi.org", "konachan.com", "konachan.net", "lolibooru.moe", "yande.re")
# `{host}/index.php?page=post&s=view&id=1`: Gelbooru's program, the old one included.
_GELBOORU: Final = (
    "gelbooru.com",
    "hypnohub.net",
    "realbooru.com",
    "rule34.xxx",
    "safebooru.org",
    "tbib.org",
    "xbooru.com",
)
# `{host}/images/1`: Philomena.
_PHILOMENA: Final = ("derpibooru.org", "furbooru.org", "ponybooru.org")

# By host without `www.`: the address up to the post's number.
_PAGES: Final = {
    **{host: f"https://{host}/posts/" for host in _POSTS},
    **{host: f"https://{host}/post/show/" for host in _MOEBOORU},
    **{host: f"https://{host}/index.php?page=post&s=view&id=" for host in _GELBOORU},
    **{host: f"https://{host}/images/" for host in _PHILOMENA},
    "zerochan.net": "https://www.zerochan.net/",
}


def post_page(booru: str, fid: int) -> str:
    """The address of a post's page.

    Args:
        booru: The booru's name, mostly its host. A mere name, such as that of a folder of captions, is no address:
            its posts' numbers may be hashes.
        fid: The post's number there.

    Returns:
        The address, or '' if it is not known.
    """
    page = _PAGES.get(canonical_booru(booru).removeprefix("www."))
    return f"{page}{fid}" if page and fid >= 0 else ""


# 4263151, danbooru.donmai.us/4263151, or a page whose address ends in the number.
_NAMED: Final = re.compile(r"(?:(?P<booru>.*?)(?:/|/.*\D))?(?P<fid>\d{1,18})", re.DOTALL)


def read_post(text: str) -> tuple[str | None, int]:
    """The booru, if it is named, and the number of a post that a person named.

    Args:
        text: Its number, `booru/number`, or the address of its page.

    Raises:
        BooruError: It names no post.
    """
    found = _NAMED.fullmatch(text.strip())
    if found is None:
        raise BooruError(
            f"{printable(text)!r} names no post. Give its id, booru/id such as danbooru.donmai.us/4263151, or its page."
        )
    of = text.strip() if "://" in text else found["booru"]
    return canonical_booru(of) if of else None, int(found["fid"])
