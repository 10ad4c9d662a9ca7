"""The words every run starts with, unless its caller writes others. Short: a small model reads them at every start."""

DEFAULT = "You have tools. Use them for facts and calculations, then answer with the result only."
