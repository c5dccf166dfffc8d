"""Fairness between groups of jobs: who was served fewer tokens goes first.

A counter of served tokens for each group, as the virtual token counter of Sheng et al.,
"Fairness in Serving Large Language Models" (2024): a group that comes back is
lifted to the smallest counter among the busy ones, so that nobody saves up a
right to the whole mill by being idle.
"""

from sqlalchemy import ColumnElement, ScalarSelect, Select, func, select, update
from sqlalchemy.dialects.postgresql import insert

from jobs.database import Transaction
from jobs.states import JobStatus
from jobs.store import hours
from jobs.tables import fair_shares, jobs


def join(tx: Transaction, job_id: str) -> None:
    """`job_id` is in progress from now on: its group's counter is not below all others'."""
    group = tx.execute(select(jobs.c.fair_group).where(jobs.c.id == job_id)).scalar_one()
    busy = _busy().where(jobs.c.id != job_id)
    already = tx.execute(select(busy.where(jobs.c.fair_group == group).exists())).scalar_one()
    least = func.coalesce(_least(busy), 0)
    joining = insert(fair_shares).values(fair_group=group, tokens=least)
    lifted = func.greatest(fair_shares.c.tokens, joining.excluded.tokens)
    if already:
        tx.execute(joining.on_conflict_do_nothing())
    else:
        tx.execute(
            joining.on_conflict_do_update(index_elements=["fair_group"], set_={"tokens": lifted})
        )


def lift_shut(tx: Transaction) -> None:
    """Groups whose windows are all shut save nothing up for when they open."""
    shut = select(jobs.c.fair_group).where(
        jobs.c.status == JobStatus.IN_PROGRESS, ~hours.are_open()
    )
    least = _least(_busy())
    tx.execute(
        update(fair_shares)
        .where(
            fair_shares.c.fair_group.in_(shut),
            fair_shares.c.fair_group.not_in(_busy()),
            fair_shares.c.tokens < least,
        )
        .values(tokens=least)
    )


def _busy() -> Select[tuple[str]]:
    """The groups of jobs that could be worked on now."""
    return select(jobs.c.fair_group).where(jobs.c.status == JobStatus.IN_PROGRESS, hours.are_open())


def _least(groups: Select[tuple[str]]) -> ScalarSelect[int]:
    return (
        select(func.min(fair_shares.c.tokens))
        .where(fair_shares.c.fair_group.in_(groups))
        .scalar_subquery()
    )


def charge(tx: Transaction, group: str, tokens: int) -> None:
    """`group` was served `tokens` more."""
    tx.execute(
        update(fair_shares)
        .where(fair_shares.c.fair_group == group)
        .values(tokens=fair_shares.c.tokens + tokens)
    )


def of_job() -> ColumnElement[bool]:
    """How a query over jobs joins the counter of a job's group."""
    return fair_shares.c.fair_group == jobs.c.fair_group
