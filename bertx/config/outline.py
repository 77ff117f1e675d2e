"""Reads Jsonnet source far enough to know on which line each key stands.

A tolerant parser: objects, lists, `local`, `import`, `+` and field access are understood, since configs are
made of these; everything else becomes `Unknown`, so that nobody is sent to a wrong line.
"""

from __future__ import annotations

from bertx.config.source_nodes import UNKNOWN, Access, Field, Import, Listing, Local, Name, Node, Object, Sum
from bertx.config.source_tokens import Token, Unreadable, tokens

_OPENING = {"{": "}", "[": "]", "(": ")"}
_COLONS = (":", "::", ":::", "+:", "+::", "+:::")
_UNARY = ("-", "!", "~", "+")
_WORDS = (
    "if",
    "then",
    "else",
    "for",
    "in",
    "function",
    "assert",
    "error",
    "super",
    "self",
    "null",
    "true",
    "false",
)


def outline(source: str) -> Node:
    """Parses Jsonnet source.

    Raises:
        Unreadable: The source is no Jsonnet that this parser knows.
    """
    try:
        parser = _Parser(list(tokens(source)))
        node = parser.expression()
    except RecursionError:
        raise Unreadable("nested too deeply") from None
    if parser.next.kind != "end":
        raise Unreadable(f"line {parser.next.line}: {parser.next.text}")
    return node


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0

    @property
    def next(self) -> Token:
        return self.tokens[min(self.at, len(self.tokens) - 1)]

    def take(self, *wanted: str) -> Token:
        token = self.next
        if wanted and token.text not in wanted:
            raise Unreadable(f"line {token.line}: {token.text!r} instead of {' or '.join(wanted)}")
        self.at += 1
        return token

    def skip(self, sign: str) -> bool:
        """Takes a sign or keyword if it is next."""
        if self.next.kind != "text" and self.next.text == sign:
            self.at += 1
            return True
        return False

    def expression(self) -> Node:
        if self.skip("local"):
            names = self.bindings()
            self.take(";")
            return Local(names, self.expression())
        if self.skip("assert"):
            self.skip_until(";")
            self.take(";")
            return self.expression()
        if self.next.text in ("if", "function", "error", *_UNARY) and self.next.kind != "text":
            self.skip_expression()
            return UNKNOWN
        node = self.operand()
        while self.skip("+"):
            node = Sum(node, self.operand())
        if self.ends():
            return node
        self.skip_expression()  # another operator: the whole is no longer an object that could be followed
        return UNKNOWN

    def operand(self) -> Node:
        node = self.primary()
        while True:
            if self.skip("."):
                node = Access(node, self.take().text)
            elif self.next.kind != "text" and self.next.text in ("[", "("):
                self.skip_brackets()
                node = UNKNOWN
            elif self.next.kind != "text" and self.next.text == "{":
                node = Sum(node, self.object())
            else:
                return node

    def primary(self) -> Node:
        token = self.next
        if token.kind == "sign":
            if token.text == "{":
                return self.object()
            if token.text == "[":
                return self.listing()
            if token.text == "(":
                self.take()
                node = self.expression()
                self.take(")")
                return node
            if self.take("$", *_UNARY).text != "$":
                self.operand()
            return UNKNOWN
        if token.kind == "name" and token.text == "local":
            return self.expression()
        self.take()
        if token.kind == "name" and token.text in ("import", "importstr", "importbin"):
            file = self.take().text
            return Import(file) if token.text == "import" else UNKNOWN
        if token.kind == "end":
            raise Unreadable(f"line {token.line}: the source ends")
        return Name(token.text) if token.kind == "name" and token.text not in _WORDS else UNKNOWN

    def bindings(self) -> dict[str, Node]:
        """Reads `a = 1, b = 2`, as after `local`."""
        names: dict[str, Node] = {}
        while True:
            name = self.take().text
            if self.next.text == "(":
                self.skip_brackets()
                self.take("=")
                self.expression()
                names[name] = UNKNOWN
            else:
                self.take("=")
                names[name] = self.expression()
            if not self.skip(","):
                return names

    def listing(self) -> Node:
        self.take("[")
        items: list[tuple[int, Node]] = []
        while not self.skip("]"):
            items.append((self.next.line, self.expression()))
            if self.skip("for"):
                self.skip_until("]")
                self.take("]")
                return Listing(items, every=True)
            if not self.skip(","):
                self.take("]")
                break
        return Listing(items)

    def object(self) -> Node:
        self.take("{")
        made = Object()
        while not self.skip("}"):
            if self.skip("local"):
                name = self.take().text
                if self.next.text == "(":
                    self.skip_brackets()
                self.take("=")
                made.names[name] = self.expression()
            elif self.next.kind == "name" and self.next.text == "assert":
                self.skip_until(",", "}")
            else:
                self.member(made)
            if self.next.kind == "name" and self.next.text == "for":
                self.skip_until("}")
            if not self.skip(","):
                self.take("}")
                break
        return made

    def member(self, made: Object) -> None:
        """Reads `key: value`."""
        key = self.next
        if key.kind == "sign":
            if key.text != "[":
                raise Unreadable(f"line {key.line}: {key.text!r} instead of a key")
            self.skip_brackets()
            made.complete = False
        else:
            self.take()
        is_method = self.next.text == "("
        if is_method:
            self.skip_brackets()
        colon = self.take(*_COLONS).text
        value = self.expression()
        if key.kind != "sign":
            made.fields[key.text] = Field(key.line, UNKNOWN if is_method else value, colon.startswith("+"))

    def ends(self) -> bool:
        """Says whether an expression ends here."""
        token = self.next
        closing = token.kind == "sign" and token.text in (",", ";", ")", "]", "}")
        return (
            closing or token.kind == "end" or (token.kind == "name" and token.text in ("for", "then", "else"))
        )

    def skip_expression(self) -> None:
        self.skip_until(",", ";", ")", "]", "}", "for")

    def skip_until(self, *stops: str) -> None:
        """Skips to the next of the signs outside brackets; `local ...;` and nested `for` do not stop it."""
        while self.next.kind == "text" or self.next.text not in stops:
            if self.next.kind == "end":
                if ";" in stops:
                    return
                raise Unreadable("the source ends inside brackets")
            if self.next.kind == "name" and self.next.text in ("local", "assert"):
                self.take()
                self.skip_until(";")
                self.take(";")
            elif self.next.kind == "sign" and self.next.text in _OPENING:
                self.skip_brackets()
            else:
                self.take()

    def skip_brackets(self) -> None:
        closing = _OPENING.get(self.take().text)
        if closing is None:
            raise Unreadable("brackets expected")
        while not self.skip(closing):
            if self.next.kind == "end" or (self.next.kind == "sign" and self.next.text in _OPENING.values()):
                raise Unreadable("the source ends inside brackets")
            if self.next.kind == "sign" and self.next.text in _OPENING:
                self.skip_brackets()
            else:
                self.take()
