"""Publish the keys of an identity provider, and sign tokens with them."""

import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
ISSUER, AUDIENCE = "https://id.example", "https://mingcha.example"
Key = RSAKey | ECKey | OKPKey
RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
EC = ECKey.generate_key("P-256", {"kid": "ec", "alg": "ES256"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"})
KEYS: dict[str, Key] = {"rsa": RSA, "ec": EC, "ed": ED}
ALGORITHMS = {"rsa": "RS256", "ec": "ES256", "ed": "Ed25519"}


class Provider:
    """An identity provider that publishes `keys`; `body` and `status` change its answer."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = [dict(key.as_dict(private=False)) for key in KEYS.values()]
        self.status, self.body, self.asked = 200, b"", 0
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked += 1
                body = provider.body or json.dumps({"keys": provider.keys}).encode()
                self.send_response(provider.status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:
                """Write no log."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/keys"

    def stop(self) -> None:
        if self.thread.is_alive():
            self.server.shutdown()
            self.thread.join()
            self.server.server_close()


def provider_token(
    name: str = "rsa", *, key: Key | None = None, header: dict[str, Any] | None = None, **changes: Any
) -> str:
    at = int(NOW.timestamp())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "u-1", "iat": at, "exp": at + 300} | changes
    fields = {"alg": ALGORITHMS[name], "kid": name} | (header or {})
    fields = {name: value for name, value in fields.items() if value is not None}
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(fields, claims, key or KEYS[name], algorithms=[fields["alg"]])
