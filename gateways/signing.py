"""How a request to the venue proves who sent it, what it says, and until when it is good."""

import hmac
from hashlib import sha256

from pydantic import SecretStr

KEY_HEADER = "Headrace-Key"
EXPIRE_HEADER = "Headrace-Expire-Ns"
SIGNATURE_HEADER = "Headrace-Signature"


def signed_headers(
    key: SecretStr, secret: SecretStr, *, method: str, target: str, expire_ns: int, body: bytes
) -> dict[str, str]:
    """Return the headers of a request; the venue must refuse it after `expire_ns` (UTC)."""
    return {
        KEY_HEADER: key.get_secret_value(),
        EXPIRE_HEADER: str(expire_ns),
        SIGNATURE_HEADER: signature(secret, method, target, expire_ns, body),
    }


def signature(secret: SecretStr, method: str, target: str, expire_ns: int, body: bytes) -> str:
    """Return the hex HMAC-SHA256 over method, path with query, expiry and body, one a line."""
    said = b"\n".join((method.encode(), target.encode(), str(expire_ns).encode(), body))
    return hmac.new(secret.get_secret_value().encode(), said, sha256).hexdigest()


def is_signature(found: str, expected: str) -> bool:
    """Compare signatures in a time that tells nothing of where they differ."""
    return hmac.compare_digest(found.encode(), expected.encode())
