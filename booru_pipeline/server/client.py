"""Asking a server that runs on this home, which takes a fraction of the time to open the checkpoint."""

import http.client
import json
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from booru_pipeline.errors import BooruError
from booru_pipeline.hashing import fingerprint
from booru_pipeline.model.suggest.answer import Answer
from booru_pipeline.pipeline.settings import Settings
from booru_pipeline.server.listening import is_loopback

_PATIENCE_S: Final = 5.0


def asked_with(settings: Settings) -> str:
    """A fingerprint of the settings that answers depend on beside the home: a server with others is not asked."""
    return fingerprint(
        [str(settings.raw_folder), str(settings.relations_folder), settings.skip_ambiguous_aliases, settings.store.url]
    )


def ask_server(settings: Settings, question: dict[str, Any]) -> Answer | None:
    """What the home's server answers; None if none runs or it cannot answer.

    Args:
        settings: With the home.
        question: As `schema.SuggestQuestion`.

    Raises:
        BooruError: It is no question.
    """
    try:
        note = json.loads(settings.lake.server_note.read_text(encoding="utf-8"))
        address = urlsplit(note["address"])
        if note["with"] != asked_with(settings) or not is_loopback(address.hostname or ""):
            return None
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_PATIENCE_S)
        connection.request("POST", "/api/suggest", json.dumps(question), {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = json.load(response)
        if response.status == 422:
            raise BooruError(content["error"])
        if response.status != 200:  # such as 400: what is too much for a server is not for a command
            return None
        return TypeAdapter(Answer).validate_python(content)
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException, ValidationError):
        return None  # it has ended, or what listens there is another program
