"""Small named values: implements `ports.NamedValues`."""

from __future__ import annotations

from collections.abc import Sequence

from keyfob.adapters.store.database import Tables


class NamedValueTable(Tables):
    """Small texts by name, such as registered clients. It holds no secret. Raises Fault. Thread-safe."""

    def read(self, name: str) -> str | None:
        """The text under `name`, None if there is none."""
        with self.database.reading() as connection:
            row = connection.execute("SELECT value FROM named WHERE name = ?", (name,)).fetchone()
            return str(row[0]) if row else None

    def write(self, name: str, value: str | None) -> None:
        """Put the text under `name`; None deletes it."""
        with self.database.writing() as connection:
            if value is None:
                connection.execute("DELETE FROM named WHERE name = ?", (name,))
            else:
                connection.execute("INSERT OR REPLACE INTO named (name, value) VALUES (?, ?)", (name, value))

    def names(self, prefix: str) -> Sequence[str]:
        """In order. `prefix` is taken as it is: no wildcards."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT name FROM named WHERE substr(name, 1, length(:prefix)) = :prefix ORDER BY name",
                {"prefix": prefix},
            ).fetchall()
            return [str(row[0]) for row in rows]
