"""The one exception whose message is written for the person at the keyboard."""


class BooruError(Exception):
    """Bad input or a bad place: the message names the thing (file, line, setting) and the remedy.

    The command line prints it without a traceback and exits with status 1; in the Dagster UI it is the run's failure.
    """
