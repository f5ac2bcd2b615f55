"""The names of `polyrank.encoders.xmod`, for those who still look here."""

from polyrank.encoders.xmod import xmod_hidden, xmod_languages

__all__ = ["xmod_hidden", "xmod_languages"]
