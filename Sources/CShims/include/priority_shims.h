#pragma once

/// Lowers the scheduling priority of the calling thread for good: it gets about a tenth of the processor time of a thread of niceness 0
/// that is busy too, and gives the processor up at once to one that wakes up. Returns 0, or -1 with `errno`.
int sluice_lower_priority(void);
