"""The error for a database that does not do as it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from keyfob.core.errors import Transient


@contextmanager
def database() -> Iterator[None]:
    """Raises Transient for what the database raises. Its own text may have values in it."""
    try:
        yield
    except SQLAlchemyError as error:
        raise Transient("The database cannot be used now", detail=type(error).__name__) from None
