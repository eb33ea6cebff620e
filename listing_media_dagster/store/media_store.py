"""The one interface to where media lies: a local folder or an S3 bucket, with the same keys and the same promises.

Writes are atomic: a reader sees the old object or the new one, never half of one, and a write that dies leaves the old
one. Digests are computed while bytes pass through, and an object this process has hashed or written isn't hashed again
until its etag or size changes.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import quote, unquote, urlsplit

from listing_media_dagster.listing import StoredObject
from listing_media_dagster.store.folder import CHUNK_BYTES, Folder
from listing_media_dagster.store.objects import (
    ListedObject,
    Names,
    ObjectMissing,
    StoreError,
    check_key,
    check_prefix,
    key_problem,
)

__all__ = ["ListedObject", "MediaStore", "ObjectMissing", "StoreError", "check_key", "key_problem"]

VERIFIED_AT_ONCE = 8
KNOWN_DIGESTS = 100_000


class Backend(Protocol):
    """What a place for bytes must do; keys are checked before they come here."""

    url: str

    def stat(self, key: str) -> ListedObject | None: ...
    def chunks(self, key: str, size: int | None = None, start: int = 0) -> Iterator[bytes]: ...
    def write(self, key: str, chunks: Iterator[bytes], size: int) -> ListedObject: ...
    def create(self, key: str, data: bytes) -> ListedObject | None: ...
    def copy(self, source: str, target: str) -> None: ...
    def delete(self, key: str) -> None: ...
    def list(self, prefix: str, start_after: str | None) -> Iterator[ListedObject]: ...
    def list_folders(self, prefix: str) -> Names: ...


class KnownDigests:
    """What this process has hashed: (store, key, etag, size) -> sha256, the oldest forgotten first. Thread-safe."""

    def __init__(self, limit: int = KNOWN_DIGESTS) -> None:
        self._digests: OrderedDict[tuple[str, str, str, int], str] = OrderedDict()
        self._limit = limit
        self._lock = threading.Lock()

    def get(self, store: str, listed: ListedObject) -> str | None:
        if listed.etag is None:
            return None
        with self._lock:
            return self._digests.get((store, listed.key, listed.etag, listed.size))

    def remember(self, store: str, listed: ListedObject, sha256: str) -> None:
        if listed.etag is None:
            return
        with self._lock:
            self._digests[store, listed.key, listed.etag, listed.size] = sha256
            while len(self._digests) > self._limit:
                self._digests.popitem(last=False)


_known = KnownDigests()


class MediaStore:
    """Media under keys such as `listings/house-042/raw_photos/manifest.json`; safe to use from several threads."""

    def __init__(
        self,
        url: str,
        *,
        s3_endpoint: str | None = None,
        s3_region: str = "us-east-1",
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        timeout_seconds: float = 120.0,
    ) -> None:
        """Open the store at `url`: a folder ("./media", "file:///srv/media") or "s3://bucket/prefix".

        Without an access key the usual AWS credential chain is asked. Raises `StoreError` if `url` names no store.
        """
        self._backend: Backend
        if url.startswith("s3://"):
            bucket, _, prefix = url.removeprefix("s3://").partition("/")
            if not bucket:
                raise StoreError(f"{url!r} names no bucket: write s3://bucket/prefix")
            from listing_media_dagster.store.bucket import Bucket

            self._backend = Bucket(
                bucket,
                prefix,
                endpoint=s3_endpoint,
                region=s3_region,
                access_key_id=access_key_id,
                secret_access_key=secret_access_key,
                timeout_seconds=timeout_seconds,
            )
        else:
            self._backend = Folder(_folder_of(url))
        self.url = self._backend.url
        # Two servers may have a bucket of one name.
        self._identity = f"{s3_endpoint or ''} {self.url}"

    def __repr__(self) -> str:
        return f"MediaStore({self.url!r})"

    @property
    def is_local(self) -> bool:
        return isinstance(self._backend, Folder)

    def read(self, key: str) -> bytes:
        """Return the bytes under `key`; raises `ObjectMissing`, or `StoreError` if the store can't be read."""
        return b"".join(self._backend.chunks(check_key(key)))

    def stream(self, key: str, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes `start` to `stop` (not included) of what lies under `key`; less if it is shorter by now."""
        left = stop - start
        for chunk in self._backend.chunks(check_key(key), stop, start) if left > 0 else ():
            yield chunk[:left]
            left -= len(chunk)
            if left <= 0:
                return

    def read_verified(self, obj: StoredObject) -> bytes:
        """Return the bytes of `obj`; raises `StoreError` if they are missing or aren't those that were stored."""
        try:
            data = b"".join(self._backend.chunks(check_key(obj.key), obj.size))
        except ObjectMissing:
            raise ObjectMissing(f"{obj.key} is missing from {self.url}: {how_to_remake(obj.key)}") from None
        if hashlib.sha256(data).hexdigest() != obj.sha256:
            raise StoreError(f"{obj.key} in {self.url} isn't what was stored there: {how_to_remake(obj.key)}")
        return data

    @contextmanager
    def open_local(self, obj_or_key: StoredObject | str) -> Iterator[Path]:
        """Give a file with the object's bytes: the store's own (don't change it), or a download that goes away after.

        A `StoredObject` is verified first, as in `read_verified`; a bare key is taken as it is.
        """
        key = check_key(obj_or_key if isinstance(obj_or_key, str) else obj_or_key.key)
        expected = None if isinstance(obj_or_key, str) else obj_or_key
        if isinstance(self._backend, Folder):
            problem = self._problem(expected) if expected else None
            if problem:
                raise StoreError(problem)
            if expected is None and self._backend.stat(key) is None:
                raise ObjectMissing(f"{key} isn't in {self.url}")
            yield self._backend.path(key)
            return
        with tempfile.TemporaryDirectory(prefix="listing-media-") as folder:
            path = Path(folder) / key.rsplit("/", 1)[-1]
            digest = hashlib.sha256()
            try:
                with path.open("wb") as file:
                    for chunk in self._backend.chunks(key, expected.size if expected else None):
                        digest.update(chunk)
                        file.write(chunk)
            except ObjectMissing:
                raise ObjectMissing(f"{key} is missing from {self.url}: {how_to_remake(key)}") from None
            if expected and digest.hexdigest() != expected.sha256:
                raise StoreError(f"{key} in {self.url} isn't what was stored there: {how_to_remake(key)}")
            yield path

    def write(self, key: str, data: bytes | Path) -> StoredObject:
        """Put `data` (bytes, or the content of a file, streamed) under `key`, replacing what was there at once."""
        check_key(key)
        size = data.stat().st_size if isinstance(data, Path) else len(data)
        digest = hashlib.sha256()
        written = self._backend.write(key, _hashed(data, digest), size)
        return self._stored(written, digest.hexdigest(), size)

    def create(self, key: str, data: bytes) -> StoredObject | None:
        """Put `data` under `key` if nothing lies there, else return None: of several who try at once, one succeeds.

        None means "it exists", which after an answer lost on the way may be the work of this very call: who uses it as
        a lock puts something of its own into `data` and looks.
        """
        written = self._backend.create(check_key(key), data)
        return None if written is None else self._stored(written, hashlib.sha256(data).hexdigest(), len(data))

    def _stored(self, written: ListedObject, sha256: str, size: int) -> StoredObject:
        if written.size == size:  # else somebody has replaced it already
            _known.remember(self._identity, written, sha256)
        # A folder's etag is made of times; only a bucket's is made of the bytes, so only that is worth keeping.
        return StoredObject(key=written.key, sha256=sha256, size=size, etag=None if self.is_local else written.etag)

    def stat(self, key: str) -> ListedObject | None:
        """Return size, etag and time of what lies under `key`, or None."""
        return self._backend.stat(check_key(key))

    def exists(self, key: str) -> bool:
        return self.stat(key) is not None

    def size(self, key: str) -> int:
        """Return the bytes under `key`; raises `ObjectMissing`."""
        found = self.stat(key)
        if found is None:
            raise ObjectMissing(f"{key} isn't in {self.url}")
        return found.size

    def sha256(self, key: str) -> str:
        """Return the digest of what lies under `key`, hashed unless this process knows it; raises `ObjectMissing`."""
        found = self.stat(key)
        if found is None:
            raise ObjectMissing(f"{key} isn't in {self.url}")
        return self._digest(found)

    def list(self, prefix: str = "", *, start_after: str | None = None) -> Iterator[ListedObject]:
        """Yield every object whose key starts with `prefix`, in the order of their keys' bytes, page by page.

        What people drop may have names no key may have (see `key_problem`); they are listed as they are.
        """
        yield from self._backend.list(check_prefix(prefix), start_after)

    def list_folders(self, prefix: str) -> Names:
        """Return the names of the folders directly under `prefix` ("inbox/"), sorted; what is in them isn't listed."""
        return self._backend.list_folders(check_prefix(prefix))

    def move(self, src: str, dst: str, *, etag: str | None = None) -> None:
        """Move `src` to `dst`: copy, verify the copy, then delete `src`.

        With `etag`, only that version is moved. If `src` is replaced meanwhile, it stays and this raises `StoreError`.
        """
        before = self.stat(src)
        if before is None:
            raise ObjectMissing(f"{src} isn't in {self.url}: there is nothing to move to {dst}")
        if etag is not None and before.etag != etag:
            raise StoreError(f"{src} in {self.url} was replaced before it could be moved: it stays where it is")
        self._backend.copy(src, check_key(dst))
        after, copied = self.stat(src), self.stat(dst)
        if after is None or (after.etag, after.size) != (before.etag, before.size):
            self._backend.delete(dst)
            raise StoreError(f"{src} in {self.url} was replaced while it was being moved: it stays where it is")
        if copied is None or copied.size != before.size or not self._same(before, copied):
            raise StoreError(f"the copy of {src} at {dst} in {self.url} isn't the same: {src} stays; move it again")
        self._backend.delete(src)

    def _same(self, one: ListedObject, other: ListedObject) -> bool:
        # A plain S3 etag is the MD5 of the bytes; a multipart one ("…-3"), an encrypted one or a folder's says less.
        if not self.is_local and one.etag == other.etag and one.etag is not None:
            return True
        return self._digest(one) == self._digest(other)

    def delete(self, key: str) -> None:
        """Delete what lies under `key`; nothing there is fine too."""
        self._backend.delete(check_key(key))

    def verify(self, objects: Iterable[StoredObject]) -> Names:
        """Return what is wrong with `objects`, one sentence each: missing, or other bytes than were stored."""
        wanted = list(dict.fromkeys(objects))
        if self.is_local or len(wanted) < 2:
            problems = [self._problem(obj) for obj in wanted]
        else:
            with ThreadPoolExecutor(VERIFIED_AT_ONCE, thread_name_prefix="verify") as pool:
                problems = list(pool.map(self._problem, wanted))
        return [problem for problem in problems if problem]

    def _problem(self, obj: StoredObject) -> str | None:
        try:
            found = self.stat(obj.key)
            if found is None:
                return f"{obj.key} is missing from {self.url}: {how_to_remake(obj.key)}"
            if found.size != obj.size:
                return (
                    f"{obj.key} in {self.url} has {found.size} bytes, {obj.size} were stored: {how_to_remake(obj.key)}"
                )
            if obj.etag is not None and obj.etag == found.etag:
                return None  # hashing would mean downloading: in every run, every picture of the listing
            if self._digest(found) != obj.sha256:
                return f"{obj.key} in {self.url} isn't what was stored there: {how_to_remake(obj.key)}"
        except ObjectMissing:
            return f"{obj.key} is missing from {self.url}: {how_to_remake(obj.key)}"
        return None

    def _digest(self, found: ListedObject) -> str:
        known = _known.get(self._identity, found)
        if known is not None:
            return known
        digest = hashlib.sha256()
        for chunk in self._backend.chunks(found.key, found.size):
            digest.update(chunk)
        _known.remember(self._identity, found, digest.hexdigest())
        return digest.hexdigest()

    def presigned(self, key: str, method: Literal["GET", "PUT"], seconds: int) -> str | None:
        """Return a link by which anyone may read or write `key` for so long; None where a folder is the store."""
        from listing_media_dagster.store.bucket import Bucket

        if not isinstance(self._backend, Bucket):
            return None
        return self._backend.presigned(check_key(key), method, seconds)

    def link(self, key: str, base_url: str) -> str:
        """Return where a browser finds `key` if the store's files are served at `base_url`."""
        return f"{base_url.rstrip('/')}/{quote(check_key(key), safe='/')}"


def how_to_remake(key: str) -> str:
    """Say how to get the object under `key` back: which asset of which listing to materialize again."""
    parts = key.split("/")
    if parts[0] == "listings" and len(parts) > 3:
        if parts[2] == "raw_photos":
            return f"drop the photos of {parts[1]} into the inbox again and materialize raw_photos"
        return f"materialize {parts[2]} of listing {parts[1]} again"
    return "put it there again"


def _folder_of(url: str) -> Path:
    if url.startswith("file:"):
        parts = urlsplit(url)
        if parts.netloc not in ("", "localhost"):
            raise StoreError(f"{url!r} names a folder on another machine: use file:///path, a plain path or s3://…")
        return Path(unquote(parts.path))
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", url):  # also s3:/bucket; one letter is a drive
        raise StoreError(f"{url!r} isn't a store: use a folder (./media, file:///path) or s3://bucket/prefix")
    if not url:
        raise StoreError("the store's URL is empty: set LISTING_MEDIA_STORE to a folder or s3://bucket/prefix")
    return Path(url)


def _hashed(data: bytes | Path, digest: hashlib._Hash) -> Iterator[bytes]:
    if isinstance(data, bytes):
        digest.update(data)
        yield data
        return
    with data.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            yield chunk
