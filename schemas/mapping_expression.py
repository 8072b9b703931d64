"""One expression of a mapping: compiled and checked when the mapping is loaded, so that a slip stops the start."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, Final

import jmespath
from jmespath.exceptions import JMESPathError

from schemas.errors import EventError, SettingError
from schemas.mapping_functions import REQUEST_NAME, MappingFunctions, failed, zone_of
from schemas.yaml_files import suggestion

#: The place of the argument that names a time zone, by function.
_ZONE_ARGUMENT: Final = {"date": 1, "time": 2, "iso": 1}
# Of these, only the first child is read from the row; the others from what the first gave.
_RELATIVE: Final = frozenset(
    {"subexpression", "index_expression", "projection", "filter_projection", "value_projection", "pipe"}
)
# Characters of an expression that a message repeats.
_TOLD_LENGTH_MAX: Final = 64

Row = dict[str, Any]


class Expression:
    """A JMESPath expression with our functions, at one place of a mapping."""

    def __init__(self, text: str, place: str, functions: MappingFunctions) -> None:
        self.text = text
        self.place = place
        try:
            compiled = jmespath.compile(text)
        except JMESPathError as error:
            position = getattr(error, "lex_position", None)
            column = "" if position is None else f" at character {position + 1}"
            reason = str(error).splitlines()[0].split(": Parse error")[0]
            raise SettingError(f"{place}: {text!r} is no JMESPath expression{column}: {reason}") from None
        except RecursionError:
            raise SettingError(f"{place}: the expression is nested too deep") from None
        except ValueError as error:
            raise SettingError(f"{place}: {text[:_TOLD_LENGTH_MAX]!r} is no JMESPath expression: {error}") from None
        tree: Any = compiled.parsed
        for node in _nodes(tree):
            if node["type"] == "function_expression":
                self._check_call(node, functions)
        #: Names at the top of the row that it reads.
        self.columns = frozenset(_columns(tree))
        #: Parts of the request that it reads and the names in them, such as `headers` and `x-topic`.
        self.request_reads = frozenset(_request_reads(tree))
        self._evaluate: Callable[[Any], Any]
        # Most expressions of most mappings are a column's name or a constant, and JMESPath takes a while.
        if tree["type"] == "field":
            name = tree["value"]
            self._evaluate = lambda row: row.get(name) if isinstance(row, dict) else None
        elif tree["type"] == "literal":
            constant = tree["value"]
            self._evaluate = lambda _: constant
        else:
            options = jmespath.Options(custom_functions=functions)
            self._evaluate = lambda row: compiled.search(row, options)

    def evaluate(self, row: Any) -> Any:
        """What the expression makes of a row, or of a whole body.

        Raises:
            EventError: `mapping_failed`, naming the place in the mapping.
        """
        try:
            return self._evaluate(row)
        except EventError as error:
            raise failed(f"{self.place}: {error.message}") from None
        except (JMESPathError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as error:
            raise failed(f"{self.place}: {type(error).__name__} in {self.text!r}") from None

    def _check_call(self, call: dict[str, Any], functions: MappingFunctions) -> None:
        name, arguments = call["value"], call["children"]
        spec = functions.FUNCTION_TABLE.get(name)
        if spec is None:
            raise SettingError(
                f"{self.place}: there is no function {name}(){suggestion(name, sorted(functions.names))}"
            )
        try:
            inspect.signature(spec["function"]).bind(functions, *arguments)
        except TypeError as error:
            raise SettingError(f"{self.place}: {name}() has {len(arguments)} arguments: {error}") from None
        if name == "lookup" and arguments[0]["type"] == "literal":
            table = arguments[0]["value"]
            if table not in functions.tables:
                raise SettingError(
                    f"{self.place}: there is no table {table!r}{suggestion(str(table), list(functions.tables))}"
                )
        zone = _ZONE_ARGUMENT.get(name, len(arguments))
        if zone < len(arguments) and arguments[zone]["type"] == "literal":
            try:
                zone_of(str(arguments[zone]["value"]))
            except SettingError as error:
                raise SettingError(f"{self.place}: {error}") from None


def _nodes(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        # The bounds of a slice are plain numbers.
        waiting.extend(child for child in node["children"] if isinstance(child, dict))


def _request_reads(tree: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for node in _nodes(tree):
        if node["type"] == "subexpression":
            start, *path = (child.get("value") for child in node["children"])
            if start == REQUEST_NAME and len(path) > 1 and all(isinstance(name, str) for name in path[:2]):
                yield path[0], path[1]


def _columns(tree: dict[str, Any]) -> Iterator[str]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if node["type"] == "field":
            yield node["value"]
        elif node["type"] != "expref":
            children = node["children"][:1] if node["type"] in _RELATIVE else node["children"]
            waiting.extend(child for child in children if isinstance(child, dict))
