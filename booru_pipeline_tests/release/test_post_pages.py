import pytest

from booru_pipeline.release.post_pages import post_page


@pytest.mark.parametrize(
    ("booru", "page"),
    [
        ("danbooru.donmai.us", "https://danbooru.donmai.us/posts/7"),
        ("safebooru.donmai.us", "https://safebooru.donmai.us/posts/7"),
        ("e621.net", "https://e621.net/posts/7"),
        ("anime-pictures.net", "https://anime-pictures.net/posts/7"),
        ("chan.sankakucomplex.com", "https://chan.sankakucomplex.com/posts/7"),
        ("safebooru.org", "https://safebooru.org/index.php?page=post&s=view&id=7"),
        ("gelbooru.com", "https://gelbooru.com/index.php?page=post&s=view&id=7"),
        ("rule34.xxx", "https://rule34.xxx/index.php?page=post&s=view&id=7"),
        ("yande.re", "https://yande.re/post/show/7"),
        ("konachan.net", "https://konachan.net/post/show/7"),
        ("derpibooru.org", "https://derpibooru.org/images/7"),
        ("www.zerochan.net", "https://www.zerochan.net/7"),
    ],
)
def test_a_post_of_a_known_booru_has_a_page(booru, page):
    assert post_page(booru, 7) == page


@pytest.mark.parametrize("booru", ["https://Danbooru.donmai.us/", "DANBOORU.donmai.us", "www.danbooru.donmai.us"])
def test_a_booru_is_known_by_any_spelling_of_its_host(booru):
    assert post_page(booru, 7) == "https://danbooru.donmai.us/posts/7"


@pytest.mark.parametrize("booru", ["", "manual_walfie", "danbooru", "example.org", "javascript:alert(1)"])
def test_a_post_of_another_has_none(booru):
    assert post_page(booru, 7) == ""


def test_a_number_that_no_booru_gives_has_no_page():
    assert post_page("danbooru.donmai.us", -1) == ""
