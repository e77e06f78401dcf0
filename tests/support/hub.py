"""A web server that serves a folder, and answers as the Hugging Face hub does where a dataset's files are asked for."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_RESOLVE = re.compile(r"/datasets/somebody/boards/resolve/[^/]+/(.+)")


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder; yield its address."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

        def translate_path(self, path: str) -> str:
            match = _RESOLVE.fullmatch(path)
            return super().translate_path(f"/{match[1]}" if match else path)

        def end_headers(self) -> None:
            file = Path(self.translate_path(self.path))
            if _RESOLVE.fullmatch(self.path) and file.is_file():
                self.send_header("X-Repo-Commit", "a" * 40)
                self.send_header("ETag", f'"{hashlib.sha256(file.read_bytes()).hexdigest()}"')
            super().end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
