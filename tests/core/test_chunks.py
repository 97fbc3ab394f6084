"""`get_chunks`: dealing a sequence out."""

import pytest

from rjobs import get_chunks


@pytest.mark.parametrize(
    ("items", "count", "chunks"),
    [
        (range(7), 3, [[0, 3, 6], [1, 4], [2, 5]]),
        (range(3), 3, [[0], [1], [2]]),
        (range(2), 5, [[0], [1]]),
        ([], 3, []),
        ("abcd", 2, [["a", "c"], ["b", "d"]]),
        (iter((1, 2, 3)), 1, [[1, 2, 3]]),
        ({1: "a", 2: "b"}, 2, [[1], [2]]),
    ],
)
def test_items_are_dealt_out_in_turn(items, count, chunks):
    assert get_chunks(items, count) == chunks


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 99, 100, 101])
def test_nothing_is_lost_and_lengths_differ_by_one_at_most(count):
    chunks = get_chunks(range(100), count)
    lengths = [len(chunk) for chunk in chunks]
    assert sorted(item for chunk in chunks for item in chunk) == list(range(100))
    assert len(chunks) == min(count, 100)
    assert max(lengths) - min(lengths) <= 1


def test_the_items_are_the_very_ones_and_the_lists_are_new():
    item, items = object(), []
    items.append(item)
    (chunk,) = get_chunks(items, 1)
    assert chunk[0] is item
    assert chunk is not items


@pytest.mark.parametrize("count", [0, -1])
def test_less_than_one_chunk_is_an_error(count):
    with pytest.raises(ValueError, match=f"count must be 1 or more; got {count}"):
        get_chunks([1], count)


@pytest.mark.parametrize("count", [1.0, "3", None, True])
def test_a_count_is_an_integer(count):
    with pytest.raises(TypeError, match="count must be an int"):
        get_chunks([1], count)


def test_what_cannot_be_iterated_is_an_error():
    with pytest.raises(TypeError):
        get_chunks(3, 1)
