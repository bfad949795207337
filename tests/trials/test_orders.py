"""The check itself: histories that some order explains, and others, known beforehand, that none does."""

import pytest

from tests.trials.orders import Operation, explained


def op(name, start, end=None, result="ok"):
    return Operation(name, start) if end is None else Operation(name, start, end, result)


WORK = op("work", 0, 5, "published")
EXPLAINED = {
    "one after the other": [WORK, op("read", 6, 7, "published")],
    "a reader sees it half done": [WORK, op("read", 1, 2, "absent"), op("read", 3, 4, "under way")],
    "two workers": [WORK, op("work", 1, 6, "published")],
    "withdrawn while a worker looks": [WORK, op("withdraw", 4, 7), op("work", 3, 8, "withdrawn")],
    "refused for the state it saw": [WORK, op("approve", 6, 7, "published")],
    "refused before it was there": [WORK, op("withdraw", 1, 2, "under way")],
    "restored": [WORK, op("withdraw", 6, 7), op("restore", 8, 9), op("read", 10, 11, "published")],
    "half restored": [WORK, op("withdraw", 6, 7), op("restore", 8, 12), op("read", 9, 10, "under way")],
    "killed, and it took place": [op("work", 0), op("read", 6, 7, "published")],
    "killed, and it did not": [op("work", 0), op("read", 6, 7, "absent")],
    "killed, and it took place late": [WORK, op("withdraw", 6), op("read", 7, 8, "published"),
                                       op("read", 9, 10, "withdrawn")],
    "it certainly did nothing": [WORK, op("withdraw", 6, 7, "nothing"), op("read", 8, 9, "published")],
}  # fmt: skip
UNEXPLAINED = {
    "a stale read": [WORK, op("read", 6, 7, "absent")],
    "published and then under way": [WORK, op("read", 6, 7, "published"), op("read", 8, 9, "under way")],
    "two reads in the wrong order": [WORK, op("read", 1, 2, "published"), op("read", 3, 4, "absent")],
    "a withdrawn one came back": [WORK, op("withdraw", 6, 7), op("read", 8, 9, "published")],
    "a withdrawn one came back by working": [WORK, op("withdraw", 6, 7), op("work", 8, 9, "published")],
    "withdrawn twice": [WORK, op("withdraw", 6, 7), op("withdraw", 8, 9)],
    "both of two decisions": [op("work", 0, 1, "published"), op("reject", 2, 9), op("withdraw", 3, 8)],
    "a killed one took place before it began": [WORK, op("read", 6, 7, "withdrawn"), op("withdraw", 8)],
    "a killed one took place twice": [WORK, op("withdraw", 6), op("read", 7, 8, "withdrawn"), op("restore", 9, 10),
                                      op("read", 11, 12, "withdrawn")],
    "refused for a state it never had": [WORK, op("restore", 6, 7, "rejected")],
}  # fmt: skip


@pytest.mark.parametrize("name", EXPLAINED)
def test_explained(name):
    assert explained(EXPLAINED[name], "under way")


@pytest.mark.parametrize("name", UNEXPLAINED)
def test_not_explained(name):
    assert not explained(UNEXPLAINED[name], "under way")


def test_what_did_not_pass_is_held():
    history = [op("work", 0, 1, "held"), op("approve", 2, 3), op("work", 4, 5, "published")]
    assert explained(history, "held")
    assert explained([op("read", 0.2, 0.3, "under way"), *history], "held"), "it was registered, and not yet judged"
    assert not explained([*history, op("read", 1.1, 1.2, "under way")], "held")
    assert not explained([op("work", 0, 1, "published")], "held"), "nothing failed is published without approval"
    assert not explained(history[:1] + history[2:], "held")


def test_many_of_which_nothing_is_known():
    """A server that was away left 30 of each kind: 2^180 subsets of them, but few numbers of each."""
    unknown = [op(name, 6 + number / 100) for number in range(30) for name in ("work", "withdraw", "restore", "reject")]
    reads = [op("read", 20 + 2 * one, 21 + 2 * one, ("published", "withdrawn")[one % 2]) for one in range(10)]
    assert explained([WORK, *unknown, *reads], "under way")
    assert not explained([WORK, *unknown, *reads, op("read", 50, 51, "held")], "under way")
    withdrawn = [op("read", 20 + 4 * one, 21 + 4 * one, "withdrawn") for one in range(3)]
    published = [op("read", 22 + 4 * one, 23 + 4 * one, "published") for one in range(3)]
    history = [WORK, *withdrawn, *published, *(op("restore", 6) for _ in range(9))]
    assert explained([*history, *(op("withdraw", 7) for _ in range(3))], "under way")
    assert not explained([*history, *(op("withdraw", 7) for _ in range(2))], "under way"), "withdrawn three times"
