"""Checks of arguments, and the offers at the end of messages."""

import pytest

from scconv_lab.errors import UserError
from scconv_lab.messages import choose_one_of, first_line, nearest, require_choice, require_positive


def test_nearest_offers_the_likeliest_or_all_of_a_few():
    assert nearest("cheng-haha", ["paper", "cheng_haha"]) == "; did you mean 'cheng_haha'?"
    assert nearest("x", ["paper", "jacky"]) == "; choose one of jacky, paper"
    assert nearest("x", []) == ""
    assert nearest("x", [f"name{i}" for i in range(17)]) == ""


def test_choose_one_of_shortens():
    assert choose_one_of([1, 2]) == "choose one of 1, 2"
    assert choose_one_of(range(1, 9)) == "choose one of 1, 2, 3, 4, 5, 6, 7, 8"
    assert choose_one_of(range(1, 10)) == "choose one of 1, 2, 3, 4, 5, 6, 7, 8, ..."
    assert choose_one_of("abc", shown=2) == "choose one of a, b, ..."


def test_require_choice():
    require_choice("fusion", "joint", ("pairwise", "joint"))
    with pytest.raises(UserError, match=r"^`fusion` \(=None\) must be one of 'pairwise', 'joint'$"):
        require_choice("fusion", None, ("pairwise", "joint"))


def test_require_positive():
    require_positive("groups", 1)
    with pytest.raises(UserError, match=r"^`groups` \(=0\) must be a whole number of at least 1$"):
        require_positive("groups", 0)


def test_first_line_of_what_an_exception_says():
    assert first_line(RuntimeError("\n first \nsecond")) == "first"
    assert first_line(AssertionError()) == "no reason given"
    assert first_line(MemoryError(" \n"), otherwise="too large") == "too large"
