"""Other ways of giving out addresses: what a program that knows nothing of the future would need."""

from glowviz.app.schemes import online, schemes

K = 1024


def needed(sizes: list[int], births: list[int], deaths: list[int]) -> dict[str, int]:
    return {row["name"]: row["bytes"] for row in schemes(sizes, births, deaths, 5 * K, 4 * K)}


def test_what_died_is_used_again() -> None:
    assert needed([K, K, K], [0, 1, 2], [1, 2, 3]) == {
        "no reuse": 3 * K, "first fit": K, "best fit": K, "ours": 5 * K, "bound": 4 * K}


def test_a_gap_that_is_too_small_is_no_use() -> None:
    assert needed([2 * K, K, 4 * K], [0, 1, 2], [2, 3, 4])["first fit"] == 7 * K


def test_first_fit_takes_the_lowest_gap_and_best_fit_the_tightest() -> None:
    # 4 | 1 | 2 | 1 are alive; 4 and 2 die; then 2 and 4 are asked for.
    found = needed([4 * K, K, 2 * K, K, 2 * K, 4 * K], [0, 1, 2, 3, 5, 6], [4, 9, 4, 9, 9, 9])
    assert found["first fit"] == 12 * K
    assert found["best fit"] == 8 * K


def test_addresses_are_aligned_and_empty_buffers_take_none() -> None:
    assert online([64, 0, 128], [0, 0, 0], [2, 2, 2], min) == 192
    assert needed([1, 0, 65], [0, 0, 0], [2, 2, 2])["first fit"] == 192
