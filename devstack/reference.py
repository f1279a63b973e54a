"""Write the API reference, docs/api.md, from the contract's own comments.

`python -m devstack.reference IMAGE` prints the page; IMAGE is what protoc described, with the
comments (`make protos` leaves it in build/image.binpb).
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

__all__ = ["page"]

_OURS = "chairside."
_HEAD = """\
# API reference

Every method, message and field of both services, from the comments in
[protos/](../protos/chairside). `make docs` writes this page, and a test holds it to them.
"""
# The numbers of fields in descriptor.proto, of which the paths to comments are made.
_MESSAGE, _ENUM, _SERVICE = 4, 5, 6
_FIELD, _ONEOF, _METHOD, _VALUE = 2, 8, 2, 2
_REPEATED = FieldDescriptorProto.LABEL_REPEATED

_Path = tuple[int, ...]


def page(image: FileDescriptorSet) -> str:
    """Return the page; ValueError for an element without a comment, which buf would tell, too."""
    files = [_File(file) for file in image.file if file.package.startswith(_OURS)]
    # Services first, in the order of their packages; types as the files have them.
    parts = [_HEAD]
    for file in files:
        for at, service in enumerate(file.proto.service):
            parts += file.service(service, (_SERVICE, at))
    for package in dict.fromkeys(file.proto.package for file in files):
        parts.append(f"\n## Types of {package}\n")
        for file in files:
            if file.proto.package == package:
                parts += file.types()
    return "".join(parts)


class _File:
    """A file of the contract and the comments in it, by the path to what they are about."""

    def __init__(self, proto: FileDescriptorProto) -> None:
        self.proto = proto
        self._comments: Mapping[_Path, str] = {
            tuple(one.path): _paragraphs(one.leading_comments)
            for one in proto.source_code_info.location
        }

    def service(self, service: ServiceDescriptorProto, path: _Path) -> Iterator[str]:
        """Tell of a service and each of its methods."""
        yield f"\n## {self.proto.package}.{service.name}\n\n{self._comment(path, service.name)}\n"
        for at, method in enumerate(service.method):
            asked = "stream " * method.client_streaming + _link(method.input_type)
            given = "stream " * method.server_streaming + _link(method.output_type)
            yield f"\n### {method.name}\n\n{asked} → {given}\n\n"
            yield f"{self._comment((*path, _METHOD, at), method.name)}\n"

    def types(self) -> Iterator[str]:
        """Tell of each message and enum."""
        for at, message in enumerate(self.proto.message_type):
            yield from self._message(message, (_MESSAGE, at))
        for at, enum in enumerate(self.proto.enum_type):
            yield from self._enum(enum, (_ENUM, at))

    def _message(self, message: DescriptorProto, path: _Path) -> Iterator[str]:
        if message.nested_type or message.enum_type:
            problem = f"{message.name} has types of its own, which this page does not tell of"
            raise ValueError(problem)
        yield f"\n### {message.name}\n\n{self._comment(path, message.name)}\n"
        choices = [one.name for one in message.oneof_decl]
        made = {field.oneof_index for field in message.field if field.proto3_optional}
        for at, choice in enumerate(choices):
            if at not in made:
                told = self._comment((*path, _ONEOF, at), f"{message.name}.{choice}")
                yield f"\nOne of `{choice}`: {told}\n"
        if message.field:
            yield "\n| field | type | |\n| --- | --- | --- |\n"
        for at, field in enumerate(message.field):
            told = self._comment((*path, _FIELD, at), f"{message.name}.{field.name}")
            yield f"| `{field.name}` = {field.number} | {_type(field, choices)} | {_cell(told)} |\n"

    def _enum(self, enum: EnumDescriptorProto, path: _Path) -> Iterator[str]:
        yield f"\n### {enum.name}\n\n{self._comment(path, enum.name)}\n"
        yield "\n| value | |\n| --- | --- |\n"
        for at, value in enumerate(enum.value):
            told = self._comment((*path, _VALUE, at), value.name)
            yield f"| `{value.name}` = {value.number} | {_cell(told)} |\n"

    def _comment(self, path: _Path, name: str) -> str:
        found = self._comments.get(path)
        if not found:
            message = f"{self.proto.name}: {name} has no comment"
            raise ValueError(message)
        return found


def _type(field: FieldDescriptorProto, choices: Sequence[str]) -> str:
    """Name a field's type, whether there are many, and of which choice it is one."""
    plain = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    name = _link(field.type_name) if field.type_name else plain
    if field.label == _REPEATED:
        return f"repeated {name}"
    if field.proto3_optional:
        return f"optional {name}"
    if field.HasField("oneof_index"):
        return f"{name}, one of `{choices[field.oneof_index]}`"
    return name


def _link(full_name: str) -> str:
    """Name a type; one of ours leads to where it is told of."""
    name = full_name.removeprefix(".")
    if not name.startswith(_OURS):
        return f"`{name}`"
    short = name.rpartition(".")[2]
    return f"[{short}](#{short.lower()})"


def _paragraphs(comment: str) -> str:
    """Return a comment's paragraphs, each on one line."""
    return "\n\n".join(" ".join(one.split()) for one in comment.split("\n\n"))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page(FileDescriptorSet.FromString(Path(sys.argv[1]).read_bytes())))
