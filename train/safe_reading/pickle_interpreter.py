"""Pure. An interpreter of pickles that makes plain values alone: no class, no function and no method is ever called.

Python's own unpickler calls what a pickle names, and even harmless names, called in another order, write where they
should not. Here an instruction makes or fills a list, a dict, a set, a tuple or a plain value. A name is
replaced by a function of ours, from an allowlist; every other name is refused. Time and memory are in proportion to the
file: each instruction costs what its own bytes cost, and the size of the content, with all that it repeats, is
measured before it is returned.
"""

import codecs
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from train.safe_reading.pickle_allowlist import (
    ForeignNameError,
    PickleAllowlist,
    PickleError,
    PickleGlobal,
    Unfinished,
    printable,
)
from train.safe_reading.pickle_size import MAX_DEPTH, MAX_REPETITION, SizeMeter, bytes_of

MAX_INSTRUCTIONS = 20_000_000
MAX_MEMO = 4_000_000
BYTES_OF_CONTAINER = 4  # of the file, at least: an empty set takes one there and 216 in memory
FREE_BYTES = 65_536  # bytes that any file's content may weigh
MAX_INTEGER_BYTES = 16  # bytes of a whole number
PROTOCOL = 5


def execute(file: BytesIO, reading: PickleAllowlist, whole: int | None = None) -> Any:
    """The value of the pickle at the file's position, which is behind it afterwards. Raises PickleError.

    `whole`: the size of the file, bytes, where its data lies in other places too; None for this stream's.
    """
    size = len(file.getbuffer()) if whole is None else whole
    allowed = FREE_BYTES + MAX_REPETITION * size
    machine = _Interpreter(reading, allowed, FREE_BYTES + size // BYTES_OF_CONTAINER)
    try:
        for _ in range(MAX_INSTRUCTIONS):
            code = file.read(1)
            if code == b".":
                break
            if code not in _INSTRUCTIONS:
                raise PickleError(f"an instruction {code!r} that it never needs" if code else "it is cut short")
            carry_out, read = _INSTRUCTIONS[code]
            carry_out(machine, read(file) if read else None)
        else:
            raise PickleError(f"it holds more than {MAX_INSTRUCTIONS:,} instructions")
        value = machine.stack.pop()
    except PickleError:
        raise
    except LookupError:
        raise PickleError(f"it is damaged at byte {file.tell()}") from None
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise PickleError(f"it is damaged at byte {file.tell()}: {str(error)[:100]}") from None
    SizeMeter(reading.byte_counts, allowed).weigh(value)
    return value


@dataclass(eq=False)
class _Interpreter:
    """The stack, those set aside by marks, and what is remembered."""

    reading: PickleAllowlist
    allowed: int  # bytes that calls may still make
    containers: int  # that may still be made
    stack: list[Any] = field(default_factory=list)
    marked: list[list[Any]] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    requested: dict[tuple[str, str], PickleGlobal] = field(default_factory=dict)

    def above(self) -> list[Any]:
        """What lies above the last mark, taken away with it."""
        found, self.stack = self.stack, self.marked.pop()
        return found

    def nothing(self, _: object) -> None:
        """PROTO, FRAME: what they declare is not needed."""

    def protocol(self, number: int) -> None:
        if number > PROTOCOL:
            raise PickleError(f"it is of pickle protocol {number}, and {PROTOCOL} is the last that is known")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def number(self, value: int) -> None:
        if not -(1 << (8 * MAX_INTEGER_BYTES)) < value < 1 << (8 * MAX_INTEGER_BYTES):
            raise PickleError(f"a whole number of more than {MAX_INTEGER_BYTES} bytes")
        self.stack.append(value)

    def text(self, value: str) -> None:
        if not value.isascii():
            value.encode()  # ValueError for half a character, which nothing could print
        self.stack.append(value)

    def container(self, value: Any) -> None:
        self.containers -= 1
        if self.containers < 0:
            raise PickleError("it holds more lists, dicts and arrays than its size can mean")
        self.stack.append(value)

    def mark(self, _: object) -> None:
        self.marked.append(self.stack)
        self.stack = []
        if len(self.marked) > MAX_DEPTH:
            raise PickleError(f"it is nested more than {MAX_DEPTH} deep")

    def pop(self, _: object) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.above()

    def fixed_tuple(self, size: int) -> None:
        if len(self.stack) < size:
            raise LookupError
        self.stack[-size:] = [tuple(self.stack[-size:])]

    def extend(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise PickleError("it fills what is no list")
        self.stack[-1].extend(items)

    def set_items(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not dict or len(items) % 2:
            raise PickleError("it fills what is no dict")
        self.stack[-1].update(_pairs(items))

    def add_items(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not set:
            raise PickleError("it fills what is no set")
        self.stack[-1].update(map(_key, items))

    def put(self, place: int) -> None:
        self.memo[place] = self.stack[-1]
        if len(self.memo) > MAX_MEMO:
            raise PickleError(f"it remembers more than {MAX_MEMO:,} values")

    def get(self, place: int) -> None:
        value = self.memo[place]
        if type(value) is Unfinished and value.done:
            value = self.memo[place] = value.value
        self.stack.append(value)

    def name(self, module: Any, name: Any) -> None:
        if (module, name) not in self.reading.names:
            raise ForeignNameError(
                f"it asks for {printable(f'{module}.{name}')}, which {self.reading.never} never need"
            )
        fresh = PickleGlobal(module, name, self.reading.names[module, name])
        self.stack.append(self.requested.setdefault((module, name), fresh))

    def reduce(self, _: object) -> None:
        arguments, name = self.stack.pop(), self.stack.pop()
        if type(name) is not PickleGlobal or name.call is None or type(arguments) is not tuple:
            raise PickleError("it calls what is no function")
        self.made(name.call(*arguments))

    def persistent(self, _: object) -> None:
        if self.reading.persistent is None:
            raise PickleError("it names what lies outside of it")
        self.container(self.reading.persistent(self.stack.pop()))

    def made(self, value: Any) -> None:
        """Count what a function of the table has made: it may be called with the same bytes again and again."""
        whole = 4 * len(value) if type(value) is str else bytes_of(value, self.reading.byte_counts)
        self.allowed -= whole or 0
        if self.allowed < 0:
            raise PickleError(f"its content is more than {MAX_REPETITION} times as large as its file")
        self.container(value)

    def build(self, _: object) -> None:
        state, unfinished = self.stack.pop(), self.stack[-1]
        if type(unfinished) is Unfinished and not unfinished.done:
            self.stack.pop()
            unfinished.value, unfinished.done = unfinished.finish(state), True
            self.made(unfinished.value)
        elif type(unfinished) is not dict:  # attributes of dicts, such as torch's `_metadata`, are not used
            raise PickleError("it gives content to what has some")


def _pairs(items: list[Any]) -> dict[Any, Any]:
    return dict(zip(map(_key, items[::2]), items[1::2], strict=True))


def _key(value: Any) -> Any:
    """A key, or member of a set: of kinds whose hashes cannot be chosen to collide."""
    if type(value) not in (str, bytes, int, bool, type(None)) or (type(value) is int and abs(value) >= 1 << 60):
        raise PickleError(f"a key is a {type(value).__name__}, not a name or a number")
    return value


def _byte_string(file: BytesIO) -> str:
    """The quoted text of protocol 0, of Python 2: any bytes, which pickletools takes for ASCII."""
    line = file.readline()
    quoted = line.strip()
    if not line.endswith(b"\n") or len(quoted) < 2 or quoted[:1] not in (b"'", b'"') or quoted[-1:] != quoted[:1]:
        raise PickleError("a text without quotes")
    return codecs.escape_decode(quoted[1:-1])[0].decode("latin1")


_Instruction = Callable[[_Interpreter, Any], None]
_CARRY_OUT: Mapping[str, _Instruction] = {
    "PROTO": _Interpreter.protocol,
    "FRAME": _Interpreter.nothing,
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    **dict.fromkeys(("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"), _Interpreter.number),
    **dict.fromkeys(("FLOAT", "BINFLOAT"), _Interpreter.push),
    **dict.fromkeys(("STRING", "BINSTRING", "SHORT_BINSTRING"), _Interpreter.push),  # latin1: any byte is a character
    **dict.fromkeys(("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"), _Interpreter.text),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"), _Interpreter.push),
    "BYTEARRAY8": lambda machine, content: machine.push(bytes(content)),
    "EMPTY_LIST": lambda machine, _: machine.container([]),
    "EMPTY_DICT": lambda machine, _: machine.container({}),
    "EMPTY_SET": lambda machine, _: machine.container(set()),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "LIST": lambda machine, _: machine.container(machine.above()),
    "TUPLE": lambda machine, _: machine.container(tuple(machine.above())),
    "DICT": lambda machine, _: machine.container(_pairs(machine.above())),
    "FROZENSET": lambda machine, _: machine.container(frozenset(map(_key, machine.above()))),
    "TUPLE1": lambda machine, _: machine.fixed_tuple(1),
    "TUPLE2": lambda machine, _: machine.fixed_tuple(2),
    "TUPLE3": lambda machine, _: machine.fixed_tuple(3),
    "APPEND": lambda machine, _: machine.extend([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.above()),
    "SETITEM": lambda machine, _: machine.set_items([machine.stack.pop(-2), machine.stack.pop()]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.above()),
    "ADDITEMS": lambda machine, _: machine.add_items(machine.above()),
    "MARK": _Interpreter.mark,
    "POP": _Interpreter.pop,
    "POP_MARK": lambda machine, _: machine.above().clear(),
    "DUP": lambda machine, _: machine.push(machine.stack[-1]),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Interpreter.put),
    "MEMOIZE": lambda machine, _: machine.put(len(machine.memo)),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Interpreter.get),
    "GLOBAL": lambda machine, names: machine.name(*names.split(" ", 1)),
    "STACK_GLOBAL": lambda machine, _: machine.name(machine.stack.pop(-2), machine.stack.pop()),
    "REDUCE": _Interpreter.reduce,
    "BUILD": _Interpreter.build,
    "BINPERSID": _Interpreter.persistent,
}

_INSTRUCTIONS: Mapping[bytes, tuple[_Instruction, Callable[[Any], Any] | None]] = {
    opcode.code.encode("latin1"): (
        _CARRY_OUT[opcode.name],
        _byte_string if opcode.name == "STRING" else opcode.arg.reader if opcode.arg is not None else None,
    )
    for opcode in pickletools.opcodes
    if opcode.name in _CARRY_OUT
}
