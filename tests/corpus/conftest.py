"""Text files to report on, clean and mix."""

import gzip

import pytest


@pytest.fixture
def write(tmp_path):
    """write("ky.txt", lines) -> the path of a file with these lines; .gz is gzipped."""

    def write_(name, lines):
        path = tmp_path / name
        text = "".join(f"{line}\n" for line in lines).encode()
        path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
        return path

    return write_
