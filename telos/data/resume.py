"""Go on with a store that an earlier, killed run of the same work began."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
    found, asked = _settings(store.schema), _settings(schema)
    for key in {**asked, **found}:
        if found.get(key) != asked.get(key):
            store.close()
            raise StoreError(
                f"{path} was made with {key}={found.get(key)}; got {key}={asked.get(key)}. "
                "Use the same settings to continue it, or another folder."
            )
    return store


def _settings(schema: Schema) -> dict[str, Any]:
    value = json.loads(json.dumps(schema.to_json()))
    return {**value.pop("source"), **value}
