"""Functions of SQLite that a script may call, and those that reach outside."""

from typing import Final

# Functions whose result depends on their arguments and on nothing else, so that a script always gives the same rows:
# no clock, no chance, no files, nothing of the library's inner life.
PURE: Final = frozenset(
    [
        *("->", "->>", "abs", "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "avg", "ceil", "ceiling"),
        *("char", "coalesce", "concat", "concat_ws", "cos", "cosh", "count", "cume_dist", "degrees", "dense_rank"),
        *("exp", "first_value", "floor", "format", "glob", "group_concat", "hex", "if", "ifnull", "iif", "instr"),
        *("json", "json_array", "json_array_length", "json_each", "json_error_position", "json_extract"),
        *("json_group_array", "json_group_object", "json_insert", "json_object", "json_patch", "json_pretty"),
        *("json_quote", "json_remove", "json_replace", "json_set", "json_tree", "json_type", "json_valid", "lag"),
        *("last_value", "lead", "length", "like", "likelihood", "likely", "ln", "log", "log10", "log2", "lower"),
        *("ltrim", "max", "min", "mod", "nth_value", "ntile", "nullif", "octet_length", "percent_rank", "pi", "pow"),
        *("power", "printf", "quote", "radians", "rank", "replace", "round", "row_number", "rtrim", "sign", "sin"),
        *("sinh", "sqrt", "string_agg", "substr", "substring", "sum", "tan", "tanh", "total", "trim", "trunc"),
        *("typeof", "unhex", "unicode", "unistr", "unlikely", "upper"),
    ]
)
# What would read or write outside: of SQLite, and of its shell.
REACHING: Final = frozenset(
    [
        *("load_extension", "readfile", "writefile", "edit", "lsdir", "fsdir", "zipfile", "sqlar_compress"),
        *("fts3_tokenizer", "sqlite_log"),
    ]
)
