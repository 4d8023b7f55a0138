"""ticker/errors.py: the tree is whole, and failures carry data."""

from __future__ import annotations

from ticker import errors
from ticker.errors import Code, ConnectionFailed, Gap, TickerError, sole


def subclasses(error: type[BaseException]) -> set[type[BaseException]]:
    return {error}.union(*(subclasses(each) for each in error.__subclasses__() if each.__module__ == errors.__name__))


def test_the_tree_at_the_top_of_the_file_is_whole() -> None:
    tree = [line.lstrip(" │├└─").split()[0] for line in (errors.__doc__ or "").splitlines() if line.startswith("    ")]
    assert sorted(tree) == sorted(error.__name__ for error in subclasses(TickerError))


def test_a_failed_connection_carries_its_status_and_close_code() -> None:
    failed = ConnectionFailed("no", status=401)
    assert (str(failed), failed.status, failed.close_code, failed.retryable) == ("no", 401, None, False)
    assert ConnectionFailed("no", close_code=1001, retryable=True).close_code == 1001


def test_a_gap_names_both_cuts() -> None:
    gap = Gap(7, 5)
    assert (gap.code, str(gap)) == (Code.MALFORMED, "a delta since cut 7 cannot follow cut 5")


def test_a_single_exception_is_taken_out_of_its_groups() -> None:
    error = ValueError("a")
    assert sole(ExceptionGroup("outer", [ExceptionGroup("inner", [error])])) is error
    both = ExceptionGroup("both", [error, KeyError("b")])
    assert sole(ExceptionGroup("outer", [both])) is both
