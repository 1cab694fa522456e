"""A thread that forgets the answers of operations inside machines that have been kept long enough."""

from __future__ import annotations

from commissaire.background import Background
from commissaire.database import Database
from commissaire.fleet.guests import forget_old_answers, has_old_answers
from commissaire.secrets.store import SecretStore

_PAUSE_SECONDS = 60.0


class OldAnswers(Background):
    """Several servers on a database may each have one."""

    def __init__(self, database: Database, store: SecretStore) -> None:
        super().__init__("old answers", _PAUSE_SECONDS)
        self._database = database
        self._store = store

    def turn(self) -> float:
        """Forget what is old; return when to look again."""
        with self._database.read() as session:
            has_some = has_old_answers(session)
        if has_some:
            with self._database.write() as session:
                forget_old_answers(session, self._store)
        return _PAUSE_SECONDS
