"""A JSON document in an artifact's folder: a model that knows its file's name, and what to do if it is not there."""

from pathlib import Path
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from booru_pipeline.errors import BooruError


class Document(BaseModel):
    """Base of the documents that artifacts hold. Fields are written in order, and unknown ones are passed over.

    Attributes:
        FILE: Its name in the folder.
        REMEDY: A sentence for whoever has none, such as "Make it with `booru run --to vocabulary`."
    """

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="constants")

    FILE: ClassVar[str]
    REMEDY: ClassVar[str]

    def write(self, folder: Path) -> None:
        """Write it into a folder, as indented JSON."""
        (folder / self.FILE).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read it from a folder.

        Raises:
            BooruError: It is not there, or not a document of this kind.
        """
        path = folder / cls.FILE
        try:
            return cls.model_validate_json(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError) as error:
            raise BooruError(f"{path} is not there. {cls.REMEDY}") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the whole"
            raise BooruError(f"{path} cannot be read: {where}: {first['msg']}. {cls.REMEDY}") from error
        except OSError as error:
            raise BooruError(f"{path} cannot be read: {error.strerror}. {cls.REMEDY}") from error
