"""`manage.py migrate`, by one process at a time: several replicas may begin with it in the same moment."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.commands.migrate import Command as Migrate
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

# A number that no other program takes in this database.
MARK = 7_205_759_403_792_794
LOOK_AGAIN_SECONDS = 0.5


class Command(Migrate):
    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        is_reading = options["plan"] or options["check_unapplied"]
        if connection.vendor != "postgresql" or is_reading:
            super().handle(*args, **options)
            return
        with self._turn(connection):
            # Whoever waited finds the tables made, and has nothing left to do.
            super().handle(*args, **options)

    @contextmanager
    def _turn(self, connection: BaseDatabaseWrapper) -> Iterator[None]:
        """Hold the right to migrate until the block ends, or the process does; wait while another has it.

        By a lock of a transaction, on a connection of its own: a pooler on the way keeps those together. It is asked
        for again and again, since an index that is built concurrently waits for every statement under way, and would
        wait for the one that waits for us.
        """
        guard = connection.copy()
        try:
            guard.set_autocommit(False)
            if not _taken(guard):
                self.stdout.write("Another process is migrating: waiting for it.")
                while not _taken(guard):
                    time.sleep(LOOK_AGAIN_SECONDS)
            yield
        finally:
            guard.close()


def _taken(guard: BaseDatabaseWrapper) -> bool:
    with guard.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [MARK])
        [is_ours] = cursor.fetchone()
        if is_ours:
            # Nothing is asked on it while tables are made, however long that takes. Said last: a question would keep
            # its view of the data open, and an index that is built concurrently waits for such.
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    if not is_ours:
        guard.rollback()
    return bool(is_ours)
