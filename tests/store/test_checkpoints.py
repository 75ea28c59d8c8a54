"""Pieces of the state: the two newest are kept, a damaged one is passed over."""

from pathlib import Path

import apsw

from meterbell.store.base import Checkpoint, Store
from tests.store.conftest import OpenStore


def save(store: Store, *checkpoints: Checkpoint) -> None:
    for checkpoint in checkpoints:
        with store.transaction():
            store.save_checkpoint(checkpoint)


def test_pieces_are_read_by_name_the_newest_first(open_store: OpenStore) -> None:
    save(
        open_store(),
        Checkpoint("a", 1, b"old"),
        Checkpoint("b", 2, b"other"),
        Checkpoint("a", 3, b"new"),
    )

    assert list(open_store().read_checkpoints()) == [
        Checkpoint("a", 3, b"new"),
        Checkpoint("a", 1, b"old"),
        Checkpoint("b", 2, b"other"),
    ]


def test_all_intact_generations_are_read(store: Store, tmp_path: Path) -> None:
    save(store, *(Checkpoint(name, n, b"%d" % n) for n in range(1, 4) for name in ("a", "b")))
    connection = apsw.Connection(str(tmp_path / "meterbell.db"))
    connection.execute("UPDATE checkpoint SET data = x'00' WHERE name = 'a' AND sequence = 3")
    connection.close()

    found = [(piece.name, piece.sequence) for piece in store.read_checkpoints()]

    assert found == [("a", 2), ("b", 3), ("b", 2)]


def test_two_generations_are_kept(store: Store) -> None:
    save(store, *(Checkpoint("a", n, b"%d" % n) for n in range(1, 6)))

    assert [piece.sequence for piece in store.read_checkpoints()] == [5, 4]


def test_deleting_takes_the_named_pieces_or_all(store: Store) -> None:
    save(store, *(Checkpoint(name, 1, b"") for name in "abc"))

    with store.transaction():
        store.delete_checkpoints(["a", "c"])
    assert [piece.name for piece in store.read_checkpoints()] == ["b"]

    with store.transaction():
        store.delete_checkpoints()
    assert list(store.read_checkpoints()) == []


def test_damaged_pieces_are_passed_over(open_store: OpenStore, tmp_path: Path) -> None:
    store = open_store()
    save(store, Checkpoint("a", 1, b"old"), Checkpoint("a", 2, b"new"), Checkpoint("b", 2, b"only"))
    store.close()
    for change in (
        "data = x'6e6577ff' WHERE name = 'a' AND sequence = 2",
        "sequence = 3 WHERE name = 'b'",
    ):
        damage(tmp_path / "meterbell.db", f"UPDATE checkpoint SET {change}")

    assert list(open_store().read_checkpoints()) == [Checkpoint("a", 1, b"old")]


def damage(path: Path, sql: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(sql)
    connection.close()
