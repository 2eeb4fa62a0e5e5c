"""Saved prefixes: what is kept of them, and what leaves first."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stoker_llama_cpp import prefix_files
from stoker_llama_cpp.prefix_files import PrefixFiles
from stoker_llama_cpp.saved_prefixes import Match, SavedPrefix, SavedPrefixes

STATE_BYTES = 1000
Open = Callable[..., SavedPrefixes]


@pytest.fixture
def reopen(tmp_path: Path) -> Iterator[Open]:
    """Opens saved prefixes on the same files, as a restart does."""
    opened: list[SavedPrefixes] = []

    def make(states: float = 3, *, exact: bool = False, files: bool = True) -> SavedPrefixes:
        if opened:
            opened[-1].close()
        folder = PrefixFiles(tmp_path, {}, limit_bytes=2**20) if files else None
        limit_bytes = int(states * STATE_BYTES)
        opened.append(SavedPrefixes(limit_bytes=limit_bytes, exact=exact, files=folder))
        return opened[-1]

    yield make
    opened[-1].close()


def row(*parts: int) -> array[int]:
    """A row of 50 tokens for each part."""
    return array("i", [token for part in parts for token in [part] * 50])


def add(saved: SavedPrefixes, *parts: int, content: int = 7) -> SavedPrefix | None:
    """Save a row on top of what is saved of it, as the saver does."""
    tokens = row(*parts)
    known = Match(0, None) if saved.exact else saved.find(tokens)
    if not saved.admit(STATE_BYTES, known.prefix):
        return None
    state = memoryview(bytes([content]) * STATE_BYTES)
    saved.add(tokens, known.length, known.prefix, state)
    return saved.find(tokens).prefix


def length(saved: SavedPrefixes, *parts: int) -> int:
    """How much of a row is saved."""
    return saved.find(row(*parts)).length


def test_the_longest_is_found(reopen: Open) -> None:
    """Of what begins like the tokens, the longest is found, be it a part of a longer one."""
    saved = reopen()
    add(saved, 1, 2, 3)
    add(saved, 1, 4)

    assert [100, 100, 50, 0] == [
        length(saved, 1, 2, 9),
        length(saved, 1, 4, 2),
        length(saved, 1, 9),
        length(saved, 9, 1),
    ]
    assert 120 == saved.find(row(1, 2, 3)[:120]).length


def test_a_few_tokens_are_not_found(reopen: Open) -> None:
    """What is faster computed again is not offered."""
    saved = reopen()
    add(saved, 1)

    assert 0 == saved.find(row(1)[:31]).length
    assert 32 == saved.find(row(1)[:32]).length


def test_common_beginnings_are_saved_once(reopen: Open) -> None:
    """A row that begins like another one builds on that; its states end where the next begins."""
    saved = reopen()
    add(saved, 1, 2, content=1)
    add(saved, 1, 3, 4, content=2)
    prefix = saved.find(row(1, 3, 4)).prefix
    assert prefix is not None
    states = saved.states(prefix, 120)

    assert [(0, 50, 1), (50, 120, 2)] == [
        (item.part.start, item.end, item.state[0]) for item in states
    ]


def test_a_part_that_is_not_needed_is_not_restored(reopen: Open) -> None:
    """When only the common beginning is wanted, only that is restored."""
    saved = reopen()
    add(saved, 1, 2)
    add(saved, 1, 3)
    prefix = saved.find(row(1, 9)).prefix
    assert prefix is not None

    assert [50] == [item.end for item in saved.states(prefix, 50)]


def test_exact_states_are_found_at_their_ends(reopen: Open) -> None:
    """A state that cannot be cut back is good for a row that has all of its tokens."""
    saved = reopen(exact=True)
    add(saved, 1, 2)
    add(saved, 1)

    assert [100, 50, 50] == [length(saved, 1, 2, 3), length(saved, 1), length(saved, 1, 3)]
    assert 50 == saved.find(row(1, 2)[:99]).length
    assert 99 == saved.branch(row(1, 2)[:99])


@pytest.mark.parametrize("files", [True, False])
def test_the_least_recently_used_leaves_first(reopen: Open, files: bool) -> None:
    """The budget holds; what was used stays, and what left is still in a file, if there are any."""
    saved = reopen(files=files)
    for part in (1, 2, 3):
        add(saved, part)
    saved.use(row(1))
    add(saved, 4)
    found = saved.find(row(2)).prefix

    assert 3 * STATE_BYTES == saved.size_bytes
    assert [50, 50, 50] == [length(saved, part) for part in (1, 3, 4)]
    assert files == (found is not None and found.state is None)


def test_what_others_build_on_leaves_last(reopen: Open) -> None:
    """A beginning stays as long as a state in memory needs it."""
    saved = reopen(files=False)
    add(saved, 1)
    add(saved, 1, 2)
    add(saved, 1, 3)
    add(saved, 4)

    assert [50, 50, 100, 50] == [
        length(saved, 1),
        length(saved, 1, 2),
        length(saved, 1, 3),
        length(saved, 4),
    ]


def test_what_does_not_fit_is_refused(reopen: Open) -> None:
    """Nothing leaves for a state that does not fit beside those that it builds on."""
    saved = reopen(2, files=False)
    add(saved, 1)
    add(saved, 1, 2)

    assert add(saved, 1, 2, 3) is None
    assert 100 == length(saved, 1, 2, 3)
    assert add(reopen(0.5, files=False), 1) is None


def test_everything_is_there_after_a_restart(reopen: Open) -> None:
    """What is in memory is written at the end, and comes back with its parents."""
    saved = reopen()
    add(saved, 1, 2, content=1)
    add(saved, 1, 3, content=2)
    saved = reopen()
    prefix = saved.find(row(1, 3)).prefix
    assert prefix is not None

    assert 0 == saved.size_bytes
    assert [1, 2] == [item.state[0] for item in saved.states(prefix, 100)]
    assert 2 * STATE_BYTES == saved.size_bytes


def test_what_was_used_last_lasts_longest(reopen: Open, tmp_path: Path) -> None:
    """The order of use is the same after a restart, and a beginning outlives what needs it."""
    saved = reopen()
    for parts in ((1,), (2,), (1, 3)):
        add(saved, *parts)
    saved.use(row(2))
    reopen()
    by_age = sorted(tmp_path.glob("*/*.prefix"), key=lambda path: path.stat().st_mtime_ns)
    sizes = [path.stat().st_size for path in by_age]

    # The longest row has the longest head.
    assert sizes[0] == max(sizes)
    assert len(set(sizes[1:])) == 1


def test_what_was_used_is_written_at_once(reopen: Open, tmp_path: Path) -> None:
    """A prefix from which a prompt has started waits for no regular end."""
    saved = reopen()
    add(saved, 1)
    add(saved, 2)
    assert not saved.unwritten
    saved.use(row(1, 5))
    while saved.unwritten:
        saved.write_one()
    saved._files.close()

    assert 1 == len(list(tmp_path.glob("*/*.prefix")))


def test_a_lost_file_costs_what_needs_it_only(reopen: Open, tmp_path: Path) -> None:
    """When a beginning is damaged, what builds on it is forgotten; others stay."""
    saved = reopen()
    for parts in ((1, 2), (1, 3), (4,)):
        add(saved, *parts)
    saved = reopen()
    prefix = saved.find(row(1, 3)).prefix
    assert prefix is not None
    assert prefix.parent is not None
    for path in tmp_path.glob("*/*.prefix"):
        if path.stem == saved._files.name(prefix.parent.tokens, 0):
            path.write_bytes(b"damaged")

    assert [] == saved.states(prefix, 100)
    assert [0, 50] == [length(saved, 1, 3), length(saved, 4)]


def test_a_lost_end_leaves_the_beginning(reopen: Open, tmp_path: Path) -> None:
    """Without the last state, what is restored ends where that began: the rest is foreign."""
    saved = reopen()
    add(saved, 1, 2)
    add(saved, 1, 3)
    saved = reopen()
    prefix = saved.find(row(1, 3)).prefix
    assert prefix is not None
    saved._files.remove(saved._files.name(prefix.tokens, prefix.start))

    assert [50] == [item.end for item in saved.states(prefix, 100)]


def test_files_are_read_beside_other_work(reopen: Open) -> None:
    """`ready` begins to read, and says yes when `states` would not wait."""
    saved = reopen()
    add(saved, 1)
    saved = reopen()
    prefix = saved.find(row(1)).prefix
    assert prefix is not None
    answers = [saved.ready(prefix)]
    saved._fetches[prefix].future.result(5)

    assert [True] == [*answers, saved.ready(prefix)][1:]
    assert 1 == len(saved.states(prefix, 50))
    assert {} == saved._fetches


def test_a_file_that_is_gone_is_noticed_beside_other_work(reopen: Open) -> None:
    """A prefix whose file is lost is not found again."""
    saved = reopen()
    add(saved, 1)
    saved = reopen()
    prefix = saved.find(row(1)).prefix
    assert prefix is not None
    saved._files.remove(saved._files.name(prefix.tokens, 0))
    saved.ready(prefix)
    fetch = saved._fetches.get(prefix)
    if fetch is not None:
        fetch.future.result(5)
        assert not saved.ready(prefix)

    assert 0 == length(saved, 1)


def test_what_nobody_asks_for_any_more_is_dropped(
    reopen: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state that was read for a sequence that was cancelled takes no memory for long."""
    monkeypatch.setattr("stoker_llama_cpp.saved_prefixes._UNWANTED_S", -1.0)
    saved = reopen()
    add(saved, 1)
    saved = reopen()
    prefix = saved.find(row(1)).prefix
    assert prefix is not None
    saved.ready(prefix)
    saved._fetches[prefix].future.result(5)
    saved.use(row(9))

    assert {} == saved._fetches


def test_what_finds_no_file_is_forgotten(reopen: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """When too much waits for the disk, what leaves memory is gone."""
    monkeypatch.setattr(prefix_files, "WAITING_BYTES", 0)
    saved = reopen(1)
    monkeypatch.setattr(saved._files, "write", lambda *args, **values: False)
    add(saved, 1)
    add(saved, 2)

    assert [0, 50] == [length(saved, 1), length(saved, 2)]
