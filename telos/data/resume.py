"""Go on with a store that an earlier, killed run of the same work began."""

from __future__ import annotations

from pathlib import Path

from telos.data.schema import Schema
from telos.data.store import SCHEMA, EpisodeStore
from telos.errors import StoreError


def begin_or_continue(path: str | Path, schema: Schema) -> EpisodeStore:
    """The store `path`, open for appending: a new one, or the one that work of the same `schema` began.

    `StoreError` says what differs where the schema, or how its `source` was made, is another.
    """
    path = Path(path)
    if not (path / SCHEMA).exists():
        return EpisodeStore.create(path, schema)
    store = EpisodeStore.open(path, append=True)
    found, asked = store.schema.to_json(), schema.to_json()
    found, asked = {**found, **found.pop("source")}, {**asked, **asked.pop("source")}
    for key in {**asked, **found}:
        if found.get(key) != asked.get(key):
            store.close()
            raise StoreError(
                f"{path} was made with {key}={found.get(key)}; got {key}={asked.get(key)}. "
                "Use the same settings to continue it, or another folder."
            )
    return store
