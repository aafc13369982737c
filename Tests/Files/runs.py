"""Runs of `sluice load --dry-run`: their answers, words and memory."""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading

MOST_MEMORY = 200 << 20
# What Swift prints of an error or a trap by itself, in place of words for a user.
HINT = re.compile(r"Line \d+ (is not a JSON object, so the file was read as CSV|looks like an event\.)")
SWIFT = re.compile(r"Fatal error|Error Domain|NSCocoa|Swift\.|Foundation\.|\bOptional\(|\w+Error\.\w+|\w+\(\w+: |\berrno\b|Stack dump|\*\*\* ")


def dry_run(sluice, arguments, paths, feed=None, seconds=300):
    """Records of all files, exit status, standard error and the peak of memory in bytes. `feed` writes to the standard input."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors, tempfile.NamedTemporaryFile("r") as measure:
        command = [sluice, "load", *arguments, "--dry-run", "--format", "json", *paths]
        child = subprocess.Popen(
            [sys.executable, "-SE", os.path.abspath(__file__), measure.name, str(seconds), *command], stdout=out, stderr=errors,
            stdin=subprocess.PIPE if feed else subprocess.DEVNULL)
        try:
            if feed:
                feed(child.stdin)
                child.stdin.close()
        except BrokenPipeError:
            pass
        child.wait()
        status, peak = map(int, measure.read().split())
        out.seek(0)
        errors.seek(0)
        return [json.loads(line) for line in out], status, errors.read().decode("utf-8", "replace"), peak


def words_fault(errors):
    """What is wrong with the words of an error, if anything is: one line, and one more where the file may be of another format."""
    lines = [line for line in errors.split("\n") if line.strip()]
    if len(lines) == 2 and HINT.match(lines[1]):
        lines.pop()
    if len(lines) != 1:
        return f"{len(lines)} lines of words in place of one: {errors.strip()[:500]}"
    if SWIFT.search(errors):
        return f"words of Swift's own: {errors.strip()[:500]}"
    return None


def measured(path, seconds, command):
    """Runs a command and writes its exit status and its peak of memory. A process of its own, because Linux counts the memory of the
    process that starts a command as the command's."""
    child = subprocess.Popen(command)
    timer = threading.Timer(float(seconds), child.kill)
    timer.start()
    _, status, usage = os.wait4(child.pid, 0)
    timer.cancel()
    child.returncode = os.waitstatus_to_exitcode(status)
    with open(path, "w") as file:
        file.write(f"{child.returncode} {usage.ru_maxrss << 10}")


if __name__ == "__main__":
    measured(sys.argv[1], sys.argv[2], sys.argv[3:])
