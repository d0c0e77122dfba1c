"""Stand-ins for the programs that install.sh calls."""

from pathlib import Path

# Says that it is Python 3.11; makes environments whose Python writes its arguments to calls.log and whose korsal-edge
# and scripts do the same.
PYTHON = """#!/bin/bash
[[ $1 != -I ]] || shift
case "$*" in
    *"3, 10"* | *"import ensurepip"* | "-m pip --version") ;;
    *platform*) echo 3.11.0 ;;
    *'"%d.%d"'*) echo 3.11 ;;
    "-m venv --clear "*)
        made=${@: -1}
        mkdir -p "$made/bin"
        cp "$0" "$made/bin/python"
        printf '#!/bin/bash\\necho "korsal-edge $*" >> "$LOG"\\n' > "$made/bin/korsal-edge"
        chmod +x "$made/bin/korsal-edge"
        echo "$made" > "$made/bin/activate"
        echo "venv${4:+ $4}" | grep -o "^venv\\( --[a-z-]*\\)\\?" >> "$LOG" ;;
    *videoio_registry*) echo 4.8.0 1 0 ;;
    "-VV" | "- "*) ;;
    *) echo "$*" >> "$LOG" ;;
esac
"""
LOGS = '#!/bin/bash\necho "$(basename "$0") $*" >> "$LOG"\n'


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def program(path: Path, text: str) -> None:
    """An executable file, in the place of what is there: a link would lead to the machine's own program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(0o755)
