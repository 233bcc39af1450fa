"""PURE: frozen values for programs that have to start quickly: used like dataclasses, and that is what a checker sees.

Light module. The standard library's decorator writes and compiles methods for each class while it is imported, which
costs `qvd-usb list` more than everything that it does. Here all classes share their methods. Whoever asks for the
fields of such a class (`dataclasses.replace`, `fields`, `asdict`) finds them.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import dataclass, field, replace

    __all__ = ["dataclass", "field", "replace"]
else:
    _MISSING = object()

    class _Factory:
        """A default that is made anew for each value."""

        __slots__ = ("make",)

        def __init__(self, make: "object") -> None:
            self.make = make

    def field(*, default_factory: "object") -> _Factory:
        """A default that is made anew for each value."""
        return _Factory(default_factory)

    class _Fields:
        """What `dataclasses` calls the fields of a class: found out when it is asked for."""

        __slots__ = ("_body", "_found")

        def __init__(self, body: "dict[str, object]") -> None:
            self._body = body
            self._found = None

        def __get__(self, value: "object", owner: "object" = None) -> "object":
            if self._found is None:
                import dataclasses  # noqa: PLC0415  # that it is not needed at the start is the point

                body = {
                    name: dataclasses.field(default_factory=item.make) if type(item) is _Factory else item
                    for name, item in self._body.items()
                }
                self._found = dataclasses.dataclass(kw_only=True)(type("Fields", (), body)).__dataclass_fields__
            return self._found

    def _init(self: "object", **given: "object") -> None:
        cls = type(self)
        defaults = cls.__value_defaults__
        for name in cls.__slots__:
            value = given.pop(name, _MISSING)
            if value is _MISSING:
                value = defaults.get(name, _MISSING)
                if value is _MISSING:
                    raise TypeError(f"{cls.__name__}() misses '{name}'")
                if type(value) is _Factory:
                    value = value.make()
            object.__setattr__(self, name, value)
        if given:
            raise TypeError(f"{cls.__name__}() has no '{min(given)}'")

    def _content(self: "object") -> "tuple[object, ...]":
        return tuple(getattr(self, name) for name in type(self).__slots__)

    def _eq(self: "object", other: "object") -> "object":
        return _content(self) == _content(other) if type(other) is type(self) else NotImplemented

    def _hash(self: "object") -> int:
        return hash(_content(self))

    def _repr(self: "object") -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in type(self).__slots__)
        return f"{type(self).__qualname__}({shown})"

    def _refuse(self: "object", name: str, *_: "object") -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed: {name}")

    def _restored(cls: "type", content: "tuple[object, ...]") -> "object":
        return cls(**dict(zip(cls.__slots__, content, strict=True)))

    def _reduce(self: "object") -> "object":
        return _restored, (type(self), _content(self))

    def replace(value: "object", /, **changes: "object") -> "object":
        """The value with some of its fields changed."""
        return type(value)(**{**dict(zip(type(value).__slots__, _content(value), strict=True)), **changes})

    def _made(cls: "type") -> "type":
        annotations = cls.__annotations__
        body = {name: item for name, item in vars(cls).items() if name not in ("__dict__", "__weakref__")}
        defaults = {name: body.pop(name) for name in annotations if name in body}
        body.update(
            __slots__=tuple(annotations),
            __init__=_init,
            __eq__=_eq,
            __hash__=_hash,
            __repr__=_repr,
            __reduce__=_reduce,
            __setattr__=_refuse,
            __delattr__=_refuse,
            __value_defaults__=defaults,
            __dataclass_fields__=_Fields({"__annotations__": annotations, "__module__": cls.__module__, **defaults}),
        )
        return type(cls.__name__, cls.__bases__, body)

    def dataclass(*, frozen: bool, slots: bool, kw_only: bool) -> "object":
        """Makes a frozen class with slots, whose fields are its annotations, given by keyword."""
        if not (frozen and slots and kw_only):
            raise TypeError("a value is frozen, has slots, and its fields are given by keyword")
        return _made
