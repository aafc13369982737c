"""Runs of `sluice load --dry-run`: their answers, words and memory."""

import json
import os
import re
import subprocess
import tempfile
import threading

MOST_MEMORY = 200 << 20
# What Swift prints of an error or a trap by itself, in place of words for a user.
SWIFT = re.compile(r"Fatal error|Error Domain|NSCocoa|Swift\.|Foundation\.|\bOptional\(|\w+Error\.\w+|\w+\(\w+: |\berrno\b|Stack dump|\*\*\* ")


def dry_run(sluice, arguments, paths, feed=None, seconds=300):
    """Answers by file, exit status, standard error and the peak of memory in bytes. `feed` writes to the standard input."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            [sluice, "load", *arguments, "--dry-run", "--format", "json", *paths], stdout=out, stderr=errors,
            stdin=subprocess.PIPE if feed else subprocess.DEVNULL)
        timer = threading.Timer(seconds, child.kill)
        timer.start()
        if feed:
            try:
                feed(child.stdin)
                child.stdin.close()
            except BrokenPipeError:
                pass
        _, status, usage = os.wait4(child.pid, 0)
        timer.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        errors.seek(0)
        found = {}
        for line in out:
            record = json.loads(line)
            found.setdefault(record["file"], []).append(record)
        return found, child.returncode, errors.read().decode("utf-8", "replace"), usage.ru_maxrss << 10


def words_fault(errors):
    """What is wrong with the words of an error, if anything is."""
    lines = [line for line in errors.split("\n") if line.strip()]
    if len(lines) != 1:
        return f"{len(lines)} lines of words in place of one: {errors.strip()[:500]}"
    if SWIFT.search(lines[0]):
        return f"words of Swift's own: {lines[0][:500]}"
    return None
