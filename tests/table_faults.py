"""Faults of tables for tests of tests: each makes some copies wrong, and only rarely."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ticker.client.table_state import RowsByKey, TableState, ordered
from ticker.core.tables.book_view import BookView, SideView
from ticker.core.tables.table_record import Changes, TableRecord
from ticker.protocol.tables import BOOK


def count_fields_instead_of_rows(patch: pytest.MonkeyPatch) -> None:
    """Selections of the same fields share an encoded entry, whatever rows they have."""
    changes_since = TableRecord.changes_since

    def counting_fields(record: TableRecord, cut: int) -> Changes:
        fields, _ = changes_since(record, cut)
        return fields, len(fields)

    patch.setattr(TableRecord, "changes_since", counting_fields)


def forget_that_changes_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A copy that is older than the remembered changes gets only these."""
    patch.setattr(BookView, "forgotten", 0)


def overlook_the_worst_level_of_a_view(patch: pytest.MonkeyPatch) -> None:
    """A view is off by one: a change of its worst level alone counts as outside."""
    settle = SideView.settle

    def settle_one_less(view: SideView, cut: int) -> bool:
        full = len(view.shown) == view.count
        return not (full and view._side.touched == next(reversed(view.shown))) and settle(view, cut)

    patch.setattr(SideView, "settle", settle_one_less)


def let_clients_trim_books(patch: pytest.MonkeyPatch) -> None:
    """As in Kraken's protocol: levels that are pushed out of a view are not sent as gone, and clients keep the best."""
    settle, merge_rows = SideView.settle, TableState._merge_rows

    def settle_without_pushed_out(view: SideView, cut: int) -> bool:
        changed = settle(view, cut)
        for key in [key for key in view.changed_at if key in view._side.sizes and key not in view.shown]:
            del view.changed_at[key]
        return changed

    def merge_and_trim(state: TableState, field: int, changes: RowsByKey | None) -> None:
        merge_rows(state, field, changes)
        if state.table.kind == BOOK:
            best = ordered(field, state.rows[field], state.definition.price_scale)[: state.table.rows]
            state.rows[field] = {row[0]: row for row in best}

    patch.setattr(SideView, "settle", settle_without_pushed_out)
    patch.setattr(TableState, "_merge_rows", merge_and_trim)
    patch.setattr(TableState, "check_merge", lambda *_: None)


TABLE_FAULTS: tuple[Callable[[pytest.MonkeyPatch], None], ...] = (
    count_fields_instead_of_rows,
    forget_that_changes_are_forgotten,
    overlook_the_worst_level_of_a_view,
    let_clients_trim_books,
)
