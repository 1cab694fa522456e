"""The scheduler: a thread that asks for the operations of schedules when they are due."""

from __future__ import annotations

from datetime import datetime

import structlog
from sqlalchemy.exc import OperationalError

from commissaire.background import Background
from commissaire.clock import now
from commissaire.database import Database
from commissaire.dispatch.dispatcher import Dispatcher
from commissaire.fleet.schedules import due_schedules, fire, next_due
from commissaire.records import Operation, Schedule, ScheduleOutcome

log = structlog.get_logger(__name__)
LONGEST_PAUSE_SECONDS = 5.0
"""Another server may have recorded a schedule that is due earlier. No schedule has a grace as short as that."""
RETRY_SECONDS = 1.0
"""How soon what is still due is looked at again: something was wrong with it."""


class Scheduler(Background):
    """Several servers on a database may each have one: only one of them asks for an operation."""

    def __init__(self, database: Database, dispatcher: Dispatcher) -> None:
        super().__init__("scheduler", LONGEST_PAUSE_SECONDS)
        self._database = database
        self._dispatcher = dispatcher

    def turn(self) -> float:
        """Ask for what is due; return when to look again."""
        self.look()
        with self._database.read() as session:
            due = next_due(session)
        if due is None:
            return LONGEST_PAUSE_SECONDS
        seconds = (due - now()).total_seconds()
        return min(LONGEST_PAUSE_SECONDS, seconds if seconds > 0 else RETRY_SECONDS)

    def look(self) -> list[str]:
        """Ask for what is due; return the names of the schedules that this one has dealt with.

        One that nothing can be done with does not keep the others.
        """
        moment = now()
        with self._database.read() as session:
            due = due_schedules(session, moment)
        done = []
        for name, since in due:
            try:
                schedule = self._fire(name, since, moment)
            except OperationalError:
                raise  # the database is gone, for the others as well
            except Exception:
                log.exception("schedule_broke", schedule=name)
                continue
            if schedule is None:
                continue
            done.append(name)
            say = log.info if schedule.last_outcome == ScheduleOutcome.STARTED else log.warning
            say("schedule_due", schedule=name, outcome=schedule.last_outcome, message=schedule.last_message)
        return done

    def _fire(self, name: str, since: datetime, moment: datetime) -> Schedule | None:
        with self._database.write() as session:
            schedule = fire(session, name, since, moment)
            if schedule is not None and schedule.last_outcome == ScheduleOutcome.STARTED:
                self._dispatcher.enqueue(session, session.get_one(Operation, schedule.last_operation_id))
            return schedule
