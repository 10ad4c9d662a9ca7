"""Pieces of texts in tantivy, in memory: for folders that have outgrown FTS5. Needs the extra `search`."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from journeyman.mcp_servers.search.fts import Piece
from journeyman.mcp_servers.search.hits import CLOSE, OPEN, Hit, hit
from journeyman.mcp_servers.search.query import PREFIX_FROM

if TYPE_CHECKING:
    from tantivy import Occur, Query, Searcher

HEAP = 64 << 20
CONTEXT = 0.7
"""What a match in the path or the headings counts."""
_WORD = re.compile(r"[^\W_]+")


class Grown:
    """A backend; one thread at a time."""

    def __init__(self) -> None:
        import tantivy  # noqa: PLC0415 - may not be installed

        self._sdk = tantivy
        filters = tantivy.Filter.lowercase(), tantivy.Filter.ascii_fold(), tantivy.Filter.stemmer("english")
        builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        for each in filters:
            builder = builder.filter(each)

        self._analyzer = builder.build()
        schema = tantivy.SchemaBuilder()
        for name in ("body", "context"):
            schema.add_text_field(name, stored=name == "body", tokenizer_name="stems")

        for name in ("path", "lines"):
            schema.add_text_field(name, stored=True, tokenizer_name="raw")

        self._schema = schema.build()
        self._index = tantivy.Index(self._schema)
        self._index.register_tokenizer("stems", self._analyzer)
        self._writer = self._index.writer(HEAP, 1)

    def add(self, path: str, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            self._writer.add_document(
                self._sdk.Document(body=piece.body, context=piece.context, path=path, lines=piece.lines)
            )

    def forget(self, path: str) -> None:
        self._writer.delete_documents_by_term("path", path)

    def commit(self) -> None:
        """What was added so far is found."""
        self._writer.commit()
        self._index.reload()

    def close(self) -> None:
        """Memory goes with the object."""

    def search(self, terms: Sequence[str], k: int) -> list[Hit]:
        """Pieces with all the words come first, then pieces with any of them, or of words that begin so."""
        searcher = self._index.searcher()
        stems = [found for term in terms if (found := self._analyzer.analyze(term))]
        found = self._matching(searcher, [(self._sdk.Occur.Must, self._anywhere(each)) for each in stems], stems, k)
        if len(found) < k:
            loose = [each if len(each) > 1 or self._known(searcher, each[0]) else [f"{each[0]}.*"] for each in stems]
            asked = [(self._sdk.Occur.Should, self._anywhere(each)) for each in loose]
            found |= self._matching(searcher, asked, loose, k)

        return list(found.values())[:k]

    def _known(self, searcher: "Searcher", stem: str) -> bool:
        return any(searcher.doc_freq(name, stem) for name in ("body", "context")) or len(stem) < PREFIX_FROM

    def _matching(
        self, searcher: "Searcher", asked: "list[tuple[Occur, Query]]", terms: list[list[str]], k: int
    ) -> dict[tuple[int, int], Hit]:
        shown = []
        for score, address in searcher.search(self._sdk.Query.boolean_query(asked), k).hits:
            piece = searcher.doc(address)
            path, lines, body = (str(piece.get_first(name)) for name in ("path", "lines", "body"))
            shown.append((-round(score, 5), path, lines, body, (address.segment_ord, address.doc)))

        wanted = re.compile("|".join(stem for term in terms for stem in term) or "(?!)")
        return {at: hit(path, lines, self._marked(body, wanted)) for _, path, lines, body, at in sorted(shown)}

    def _anywhere(self, stems: list[str]) -> "Query":
        """A word, a phrase or what begins so, in the text or in what it stands under."""
        make = self._sdk.Query
        fields = []
        for name in ("body", "context"):
            if len(stems) > 1:
                fields.append(make.phrase_query(self._schema, name, [*stems]))
            elif stems[0].endswith(".*"):
                fields.append(make.regex_query(self._schema, name, stems[0]))
            else:
                fields.append(make.term_query(self._schema, name, stems[0]))

        should = self._sdk.Occur.Should
        return make.boolean_query([(should, fields[0]), (should, make.boost_query(fields[1], CONTEXT))])

    def _marked(self, body: str, wanted: re.Pattern[str]) -> str:
        lines = []
        for line in body.split("\n"):
            stems = iter(self._analyzer.analyze(line))
            lines.append(_WORD.sub(lambda word: _mark(word[0], bool(wanted.fullmatch(next(stems, "")))), line))  # noqa: B023

        return "\n".join(lines)


def _mark(word: str, found: bool) -> str:
    return f"{OPEN}{word}{CLOSE}" if found else word
