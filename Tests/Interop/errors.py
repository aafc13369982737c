"""Errors by code, name, outcome and retry, as PROTOCOL.md section 12 lists them."""

# code: name, outcome, retryable
ERRORS = {
    1: ("malformed_frame", "refused", False), 2: ("unsupported_version", "refused", False),
    3: ("too_large", "refused", False), 4: ("bad_checksum", "refused", True),
    5: ("damaged_compression", "refused", False), 6: ("unknown_kind", "refused", False),
    7: ("invalid_message", "refused", False), 8: ("truncated_answer", "unknown", True),
    9: ("foreign_cluster", "refused", False), 10: ("wrong_epoch", "refused", True),
    11: ("wrong_bucket", "refused", False), 12: ("not_authenticated", "refused", False),
    13: ("forbidden", "refused", False), 14: ("invalid_query", "refused", False),
    15: ("unknown_funnel", "refused", False), 16: ("overloaded", "refused", True),
    17: ("not_ready", "refused", True), 18: ("shard_unavailable", "unknown", True),
    19: ("deadline_exceeded", "unknown", True), 20: ("cancelled", "unknown", False),
    21: ("sequence_expired", "unknown", False), 22: ("storage_full", "refused", True),
    23: ("storage_failed", "unknown", True), 24: ("work_budget", "failed", False),
    25: ("connection_lost", "unknown", True), 26: ("internal", "failed", False),
    27: ("conflict", "refused", False), 28: ("unreachable", "refused", True),
    29: ("ambiguous_funnel", "refused", False), 30: ("sequence_reused", "refused", False),
}
ERROR_CODES = {entry[0]: code for code, entry in ERRORS.items()}
OUTCOMES = ("refused", "unknown", "failed")


class SluiceError(Exception):
    """What went wrong: found by the server (an error frame) or by this client, with the same codes."""

    def __init__(self, name, message, outcome=None, retryable=None, retry_after_ms=0, faults=(), shards=(), code=None):
        self.code = ERROR_CODES[name] if code is None else code
        known = ERRORS.get(self.code, ERRORS[26])
        self.name = known[0]
        self.message = message
        self.outcome = known[1] if outcome is None else outcome
        self.retryable = known[2] if retryable is None else retryable
        self.retry_after_ms = retry_after_ms
        self.faults = list(faults)
        self.shards = list(shards)
        super().__init__(f"{self.name}: {message}")

    def as_dict(self):
        return {"code": self.code, "name": self.name, "message": self.message, "outcome": self.outcome,
                "retryable": self.retryable, "retry_after_ms": self.retry_after_ms,
                "faults": [{"field": f, "reason": r} for f, r in self.faults], "shards": self.shards}


def invalid(what):
    return SluiceError("invalid_message", what)
