"""What another library's exception says, short enough for our one-sentence errors."""

import textwrap


def reason(error: BaseException) -> str:
    """The first 200 characters of the message on one line; the exception's name if it has no message."""
    return textwrap.shorten(str(error), 200, placeholder=" …") or type(error).__name__
