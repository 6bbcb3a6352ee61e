"""Read ZIPs from front to back as other programs do, and write packs in the form of earlier versions."""

import hashlib
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

Read = dict[str, str]
"""The SHA-256 of each file, by name."""

_JAVA = """
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;

class Reader {
    public static void main(String[] arguments) throws Exception {
        try (ZipInputStream zip = new ZipInputStream(System.in)) {
            for (ZipEntry entry; (entry = zip.getNextEntry()) != null; ) {
                MessageDigest digest = MessageDigest.getInstance("SHA-256");
                byte[] buffer = new byte[65536];
                for (int count; (count = zip.read(buffer)) > 0; ) digest.update(buffer, 0, count);
                System.out.println(HexFormat.of().formatHex(digest.digest()) + " " + entry.getName());
            }
        }
    }
}
"""
_PERL = """
use IO::Uncompress::Unzip qw($UnzipError);
use Digest::SHA;
my $zip = IO::Uncompress::Unzip->new(*STDIN{IO}) or die $UnzipError;
my $status = 1;
while ($status > 0) {
    my ($digest, $buffer) = Digest::SHA->new(256);
    while (($status = $zip->read($buffer)) > 0) { $digest->add($buffer) }
    die $UnzipError if $status < 0;
    print $digest->hexdigest, " ", $zip->getHeaderInfo()->{Name}, "\n";
    $status = $zip->nextStream();
}
"""


def read_by_java(body: bytes, folder: Path) -> Read:
    """Read with Java's `ZipInputStream`."""
    source = folder / "Reader.java"
    source.write_text(_JAVA)
    return _run(["java", str(source)], body)


def read_by_perl(body: bytes, folder: Path) -> Read:
    """Read with Perl's `IO::Uncompress::Unzip` from a pipe."""
    source = folder / "reader.pl"
    source.write_text(_PERL)
    return _run(["perl", str(source)], body)


def read_by_heads(body: bytes, folder: Path) -> Read:
    """Read by the heads alone, and check their sizes and checksums."""
    del folder
    found, at = {}, 0
    while body[at : at + 4] == b"PK\3\4":
        _, flags, method, _, crc, packed, size, name_size, extra_size = struct.unpack(
            "<3HL3L2H", body[at + 4 : at + 30]
        )
        if flags or method or packed != size:
            raise ValueError("A reader from front to back does not know where this file ends.")
        start = at + 30 + name_size + extra_size
        if size == 2**32 - 1:
            [size] = struct.unpack("<Q", body[start - 16 : start - 8])
        content = body[start : start + size]
        if (len(content), zlib.crc32(content)) != (size, crc):
            raise ValueError("The head states another size or checksum.")
        found[body[at + 30 : at + 30 + name_size].decode()] = hashlib.sha256(content).hexdigest()
        at = start + size
    return found


READERS: Mapping[str, tuple[str | None, Callable[[bytes, Path], Read]]] = {
    "heads": (None, read_by_heads),
    "java": ("java", read_by_java),
    "perl": ("perl", read_by_perl),
}
"""Readers by name, each with the program it needs."""


def is_missing(name: str) -> bool:
    program = READERS[name][0]
    return program is not None and shutil.which(program) is None


def _run(command: list[str], body: bytes) -> Read:
    done = subprocess.run(command, input=body, capture_output=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr.decode())
    lines = (line.split(" ", 1) for line in done.stdout.decode().splitlines())
    return {name: digest for digest, name in lines}


def sizes_behind(files: Mapping[str, bytes], dos_time: int) -> bytes:
    """Return a pack as versions before December 2026 wrote it: each size and checksum follows the bytes."""
    body, listing = b"", b""
    for name, content in files.items():
        sums = struct.pack("<3L", zlib.crc32(content), len(content), len(content))
        head = struct.pack("<3HL3L2H", 20, 8, 0, dos_time, 0, 0, 0, len(name), 0)
        fields = struct.pack("<2B3HL", 20, 3, 20, 8, 0, dos_time)
        places = struct.pack("<5H2L", len(name), 0, 0, 0, 0, 0o100644 << 16, len(body))
        listing += b"PK\1\2" + fields + sums + places + name.encode()
        body += b"PK\3\4" + head + name.encode() + content + b"PK\7\10" + sums
    end = struct.pack("<4H2LH", 0, 0, len(files), len(files), len(listing), len(body), 0)
    return body + listing + b"PK\5\6" + end
