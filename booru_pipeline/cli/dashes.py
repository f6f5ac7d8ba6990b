"""A command whose arguments may begin with a dash, as the tag `-_-` does."""

import re
from typing import Any, Final

from typer.core import TyperCommand

from booru_pipeline.errors import BooruError

_LONG_OPTION: Final = re.compile(r"--[a-z][a-z-]*(=.*)?", re.DOTALL)


class TagCommand(TyperCommand):
    """Takes every argument that is no option for a tag, wherever it stands.

    What looks like a long option is left to be refused with the one that may have been meant.

    Raises:
        BooruError: A long option has but one dash.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the options before `--` and the tags after it."""
        is_flag = {
            name: bool(getattr(param, "is_flag", False))
            for param in self.get_params(ctx)
            if param.param_type_name == "option"
            for name in (*param.opts, *param.secondary_opts)
        }
        options: list[str] = []
        tags: list[str] = []
        rest = iter(args)
        for argument in rest:
            name, equals, _ = argument.partition("=")
            if argument == "--":
                tags += rest
            elif name in is_flag:
                options.append(argument)
                if not equals and not is_flag[name]:
                    options += [value for value in [next(rest, None)] if value is not None]
            elif f"-{name}" in is_flag:
                raise BooruError(f"there is no option {name}. Write -{name}")
            elif _LONG_OPTION.fullmatch(argument):
                options.append(argument)
            else:
                tags.append(argument)
        return super().parse_args(ctx, [*options, "--", *tags] if tags else options)
