"""The store's SQL in PostgreSQL's words."""

import sqlite3

import pytest

from rmactors.server.store.engines.postgres_sql import translated


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT ? + a FROM t WHERE b = ?", "SELECT $1 + a FROM t WHERE b = $2"),
        ("SELECT a FROM t INDEXED BY t_by_b WHERE b = '?'", "SELECT a FROM t WHERE b = '?'"),
        ("SELECT a FROM t ORDER BY b /*pg , id DESC */ LIMIT ?", "SELECT a FROM t ORDER BY b , id DESC LIMIT $1"),
        ("SELECT '/*pg x */', a /* of both */ FROM t", "SELECT '/*pg x */', a /* of both */ FROM t"),
    ],
)
def test_marks_hints_and_what_is_for_postgresql_alone(sql: str, expected: str) -> None:
    assert translated(sql) == (expected, None)


def test_a_name_that_is_there_twice_is_one_parameter() -> None:
    assert translated("SELECT :b, :a, :b, c::text") == ("SELECT $1, $2, $1, c::text", ("b", "a"))


def test_what_is_for_postgresql_alone_is_a_comment_to_sqlite() -> None:
    assert sqlite3.connect(":memory:").execute("SELECT 1 /*pg , no_such_column */").fetchall() == [(1,)]
