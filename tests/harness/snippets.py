"""Takes the commands and the program out of a text for people, as somebody who copies them would."""

import ast
import shlex
import textwrap


def curls(text: str) -> list[str]:
    """Each `curl ...` with its continuation lines: up to where the shell would start it."""
    found, lines, at = [], text.splitlines(), 0
    while at < len(lines):
        line = lines[at].strip().removeprefix("$ ")
        at += 1
        if not line.startswith("curl "):
            continue
        command = line
        while at < len(lines) and (command.endswith("\\") or not _complete(command)):
            command += "\n" + lines[at]
            at += 1
        found.append(command)
    return found


def _complete(command: str) -> bool:
    try:
        shlex.split(command)
        return True
    except ValueError:
        return False


def pythons(text: str) -> list[str]:
    """Each program that starts at an `import openai` or `from openai import`: as far as Python can read on."""
    lines, found, at = text.splitlines(), [], 0
    while at < len(lines):
        if not lines[at].strip().startswith(("import openai", "from openai import")):
            at += 1
            continue
        for end in range(len(lines), at, -1):
            program = textwrap.dedent("\n".join(lines[at:end])) + "\n"
            if _reads(program):
                found.append(program)
                at = end
                break
        else:
            at += 1
    return found


def _reads(program: str) -> bool:
    try:
        body = ast.parse(program).body
    except SyntaxError:
        return False
    # A lone word or name parses, but is prose or the end of a here-document.
    return not isinstance(body[-1], ast.Expr) or isinstance(body[-1].value, ast.Call)
