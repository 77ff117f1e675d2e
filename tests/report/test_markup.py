from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from bertx.report.markup import as_html, node


def test_text_is_escaped_whatever_it_holds():
    made = as_html(node("p", {"title": '"<b>'}, "<script>alert(1)</script> & more"))
    assert made == (
        '<!DOCTYPE html>\n<p title="&quot;<b&gt;">&lt;script&gt;alert(1)&lt;/script&gt; &amp; more</p>\n'
    )


def test_children_keep_their_order():
    made = node("p", None, "a", node("b", None, "c"), "d", None, "e", node("i"))
    assert as_html(made) == "<!DOCTYPE html>\n<p>a<b>c</b>de<i></i></p>\n"


def test_characters_that_no_page_may_hold_are_replaced():
    assert as_html(node("p", None, "a\x00b\x1bc\ud800d\ne")) == "<!DOCTYPE html>\n<p>a�b�c�d\ne</p>\n"


@given(st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn"))))
def test_text_comes_back_as_it_was(text):
    made = as_html(node("p", None, text)).partition("<p>")[2].removesuffix("</p>\n")
    assert "<" not in made
    assert unescape(made) == text
