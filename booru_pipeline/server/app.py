"""The server's routes."""

import secrets
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query, Request
from fastapi import Path as PathParameter
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse
from starlette.staticfiles import StaticFiles

from booru_pipeline.dataset.inspection import Inspection
from booru_pipeline.errors import BooruError, printable
from booru_pipeline.model.label_tables import vectors_of
from booru_pipeline.model.related import Likeness, related
from booru_pipeline.model.suggest import wording
from booru_pipeline.model.suggest.asking import Request as Question
from booru_pipeline.model.suggest.filters import Filters
from booru_pipeline.server.careful import Careful, refusal
from booru_pipeline.server.listening import is_loopback
from booru_pipeline.server.questions import Questions, TooMany
from booru_pipeline.server.reports import report_routes
from booru_pipeline.server.schema import (
    CheckpointChoice,
    CheckpointName,
    CompleteAnswer,
    CompletedTag,
    CompleteQuestion,
    Health,
    Refusal,
    RelatedTag,
    SuggestAnswer,
    SuggestQuestion,
    TagName,
)
from booru_pipeline.server.shelf import NotThere, Shelf, Unknown

_PAGE: Final = Path(__file__).parent / "page"
_REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": Refusal} for status in (400, 404, 408, 413, 421, 422, 503)
}
_Checkpoint = Annotated[CheckpointName | None, Query(description="Of a release or trial; the one in use by default.")]


def make_app(shelf: Shelf, host: str = "127.0.0.1") -> FastAPI:
    """The server's application: the API under `/api/`, the page at `/`, the reports.

    Args:
        shelf: What answers.
        host: The address that is listened on: on loopback, only its names are answered to.
    """
    questions = Questions()

    @asynccontextmanager
    async def open_checkpoints(_: FastAPI) -> AsyncIterator[None]:
        threading.Thread(target=shelf.watch, name="checkpoints", daemon=True).start()
        yield
        shelf.end()

    app = FastAPI(
        title="booru_pipeline",
        summary="What booru tags imply about the others.",
        version=version("booru-pipeline"),
        openapi_url="/api/openapi.json",
        docs_url=None,  # FastAPI's pages load scripts from elsewhere
        redoc_url=None,
        lifespan=open_checkpoints,
        responses=_REFUSALS,
        routes=report_routes(shelf.lake),
    )
    app.add_middleware(Careful, hosts=("127.0.0.1", "localhost", "::1", host) if is_loopback(host) else ())
    _refuse_in_sentences(app)

    @app.get("/api/health")
    async def health() -> Health:
        """How the server is."""
        try:
            name, asker = shelf.get()
        except NotThere:
            return Health(status="loading", version=app.version)
        return Health(
            status="ok",
            checkpoint=name,
            labels=len(asker.predictor.vocabulary),
            posts=asker.counter.size,
            waiting=questions.waiting,
            version=app.version,
        )

    @app.get("/api/checkpoints")
    def checkpoints() -> list[CheckpointChoice]:
        """The checkpoints that can be asked, the newest release first."""
        return [CheckpointChoice(name=name, is_promoted=promoted) for name, promoted in shelf.names()]

    @app.get("/api/tags")
    def tags(
        q: Annotated[str, Query(max_length=200, description="The beginning or a part of a name or alias.")],
        limit: Annotated[int, Query(ge=1, le=100)] = 10,
        checkpoint: _Checkpoint = None,
    ) -> list[TagName]:
        """Names that a text may become: those that begin so first, then the most frequent."""
        _, asker = shelf.get(checkpoint)
        vocabulary = asker.predictor.vocabulary
        return [
            TagName(
                tag=label,
                category=vocabulary.category_names[row],
                posts=int(vocabulary.posts[row]),
                alias=alias,
            )
            for label, alias in asker.names.completions(q, limit)
            for row in [vocabulary.index[label]]
        ]

    @app.post("/api/suggest")
    async def suggest_tags(question: SuggestQuestion) -> SuggestAnswer:
        """What tags imply, most probable first."""
        filters = Filters(
            tuple(question.categories), tuple(question.exclude), question.hide_implied, question.min_support
        )
        name, asker = await run_in_threadpool(shelf.get, question.checkpoint) if question.checkpoint else shelf.get()
        request = Question(tuple(question.tags), question.top, filters, question.explain)
        answer = await questions.ask(asker, request)
        notes = [
            *wording.about_the_question(answer, question.tags),
            *wording.about_the_given(answer),
            *([] if answer.suggestions else [wording.nothing_left(answer)]),
        ]
        return SuggestAnswer(**vars(answer), checkpoint=name, notes=notes)

    @app.post("/api/complete")
    def complete(question: CompleteQuestion) -> CompleteAnswer:
        """A whole tag set that begins with some tags, drawn one tag after another."""
        name, asker = shelf.get(question.checkpoint)
        completion = asker.complete(
            question.tags,
            temperature=question.temperature,
            seed=secrets.randbelow(1 << 31) if question.seed is None else question.seed,
            count=question.count,
            filters=Filters(tuple(question.categories), tuple(question.exclude)),
        )
        [found] = completion.sets
        drawn = [
            CompletedTag(
                tag=one.tag,
                category=one.category,
                given=one.origin == "given",
                implied=one.origin == "implied",
                probability=one.probability if one.origin == "drawn" else None,
            )
            for one in found.tags
        ]
        notes = wording.about_the_question(completion, question.tags) + wording.about_pairs(completion.apart)
        return CompleteAnswer(
            checkpoint=name, seed=found.seed, tags=drawn, log_probability=found.log_probability, notes=notes
        )

    @app.get("/api/related/{tag:path}")
    def related_tags(
        tag: Annotated[str, PathParameter(max_length=500, description="A label or an alias.")],
        by: Annotated[Likeness, Query(description="`vectors` are the model's own; the others count train posts.")] = (
            Likeness.COSINE
        ),
        limit: Annotated[int, Query(ge=1, le=500)] = 20,
        checkpoint: _Checkpoint = None,
    ) -> list[RelatedTag]:
        """The labels most like one."""
        name, asker = shelf.get(checkpoint)
        predictor = asker.predictor
        try:
            label = asker.names.label(tag)
        except BooruError as error:
            raise Unknown(str(error)) from error
        if predictor.table is None:
            raise BooruError("this checkpoint has no counts. Make it again with `booru run`.")
        folder = shelf.lake.checkpoint(name)
        vectors = vectors_of(folder, predictor.vocabulary) if by is Likeness.VECTORS else None
        found = related(predictor.vocabulary, predictor.table, label, by, limit, vectors)
        return [RelatedTag(**{**row, "likeness": row[by]}) for row in found.to_pylist()]

    @app.get("/api/posts/{booru}/{fid}")
    def inspect_post(
        booru: Annotated[str, PathParameter(max_length=200, description="Such as danbooru.donmai.us.")],
        fid: Annotated[int, PathParameter(ge=0, le=2**63 - 1)],
        checkpoint: _Checkpoint = None,
    ) -> Inspection:
        """What became of a post in the newest dataset, or that of a checkpoint, and how the model sees it."""
        return shelf.inspect(booru, fid, checkpoint)

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(_PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    app.mount("/page", StaticFiles(directory=_PAGE, check_dir=False))
    return app


def _refuse_in_sentences(app: FastAPI) -> None:
    """What is no question gets a status of 400 to 499 and one sentence."""

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
        if first["type"] == "json_invalid":
            return refusal(400, "the request is no JSON.")
        return refusal(400, printable(f"{where[:100] or 'the request'}: {first['msg']}."))

    @app.exception_handler(HTTPException)
    def refused(_: Request, error: HTTPException) -> JSONResponse:
        return refusal(error.status_code, f"{error.detail}.", **(error.headers or {}))

    @app.exception_handler(BooruError)
    def no_question(_: Request, error: BooruError) -> JSONResponse:
        if isinstance(error, TooMany | NotThere):
            return refusal(503, str(error), **{"Retry-After": "1"})
        return refusal(404 if isinstance(error, Unknown) else 422, printable(str(error)))
