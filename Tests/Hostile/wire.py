"""What the attempts need of the client in Tests/Interop, with a checksum that is fast enough for batches of megabytes."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Interop"))
import checksums  # noqa: E402

try:
    import google_crc32c

    # The client's own is pure Python. This one must be in place before the imports below.
    checksums.crc32c = lambda data, crc=0: google_crc32c.extend(crc, bytes(data))
except ImportError:
    pass

from answers import decode_answer  # noqa: E402, F401
from batches import encode_batch  # noqa: E402, F401
from checksums import crc32c  # noqa: E402, F401
from client_messages import decode_append_result, encode_append  # noqa: E402, F401
from errors import SluiceError  # noqa: E402, F401
from frames import APPEND, APPEND_RESULT, HEADER, QUERY, USERS_QUERY, Frame, encode_frame  # noqa: E402, F401
from http2 import PREFACE, h2_frame  # noqa: E402, F401
from http2_headers import hpack_encode, hpack_integer, hpack_status  # noqa: E402, F401
from lz4_block import lz4_encode  # noqa: E402, F401
from sluice_client import Client  # noqa: E402, F401
from timestamps import parse_timestamp  # noqa: E402, F401
