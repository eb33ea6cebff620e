"""A media store in an S3 bucket: obstore carries the bytes, boto3 finds the credentials and lists.

Listing is boto3's because obstore fails a whole listing over one key it can't parse, such as `inbox/a//b.jpg` or a name
with a tab.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from listing_media_dagster.store.objects import ListedObject, Names, ObjectMissing, StoreError

if TYPE_CHECKING:
    from obstore.store import S3Store

PART_BYTES = 8 * 2**20
# 4 parts of 8 MiB within 120 s: an uplink of 2.3 Mbit/s still finishes.
PARTS_AT_ONCE = 4
READ_ATTEMPTS = 4
ATTEMPTS = 7
CONNECT_SECONDS = 5
PAGE_KEYS = 1000
# A sensor that lists has 60 s: a server that hangs must be given up before that, 4 × 10 s and the pauses between.
PAGE_SECONDS = 10.0
PAGE_ATTEMPTS = 4

Answer = TypeVar("Answer")


class Bucket:
    """Back end of `MediaStore` for S3 and servers that speak it; keys have been checked before they come here."""

    def __init__(
        self,
        bucket: str,
        prefix: str,
        *,
        endpoint: str | None,
        region: str,
        access_key_id: str | None,
        secret_access_key: str | None,
        timeout_seconds: float,
    ) -> None:
        if (access_key_id is None) != (secret_access_key is None):
            raise StoreError(
                "the S3 access key id and the secret access key go together: set both or neither of "
                "LISTING_MEDIA_S3_ACCESS_KEY_ID and LISTING_MEDIA_S3_SECRET_ACCESS_KEY"
            )
        self.bucket = bucket
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self.url = f"s3://{bucket}/{self.prefix}".rstrip("/")
        self._secrets = tuple(secret for secret in (secret_access_key,) if secret)
        self._endpoint, self._region, self._timeout_seconds = endpoint, region, timeout_seconds
        self._keys = (access_key_id, secret_access_key)
        self._objects = self._object_store()

    @cached_property
    def _client(self) -> Any:
        """boto3's S3 client: it takes a fifth of a second to make, so only those who list pay for it."""
        from botocore.config import Config

        return self._session().client(
            "s3",
            endpoint_url=self._endpoint,
            config=Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=min(self._timeout_seconds, PAGE_SECONDS),
                retries={"mode": "standard", "total_max_attempts": PAGE_ATTEMPTS},
                s3={"addressing_style": "path" if self._endpoint else "auto"},
            ),
        )

    def _session(self) -> Any:
        import boto3

        access_key_id, secret_access_key = self._keys
        return boto3.Session(access_key_id, secret_access_key, region_name=self._region)

    def _object_store(self) -> S3Store:
        from obstore.store import S3Store

        how: Any = {"endpoint": self._endpoint} if self._endpoint else {}
        access_key_id, secret_access_key = self._keys
        if access_key_id is not None:
            how |= {"access_key_id": access_key_id, "secret_access_key": secret_access_key}
        else:
            how["credential_provider"] = self._credential_chain()
        return S3Store(
            self.bucket,
            region=self._region,
            disable_bulk_delete=True,  # one DELETE an object: bulk deletes need checksums not every server takes
            virtual_hosted_style_request=self._endpoint is None,
            client_options={
                "allow_http": bool(self._endpoint and self._endpoint.startswith("http://")),
                "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
                "timeout": timedelta(seconds=self._timeout_seconds),
            },
            retry_config={
                "max_retries": ATTEMPTS - 1,
                "retry_timeout": timedelta(seconds=max(180.0, 2 * self._timeout_seconds)),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=100),
                    "max_backoff": timedelta(seconds=15),
                    "base": 2,
                },
            },
            **how,
        )

    def _credential_chain(self) -> Any:
        from obstore.auth.boto3 import Boto3CredentialProvider

        session = self._session()
        if session.get_credentials() is None:
            raise StoreError(
                f"no credentials for {self.url}: set LISTING_MEDIA_S3_ACCESS_KEY_ID and "
                "LISTING_MEDIA_S3_SECRET_ACCESS_KEY, or configure the AWS credential chain (profile, role, environment)"
            )
        return Boto3CredentialProvider(session)

    def stat(self, key: str) -> ListedObject | None:
        import obstore

        try:
            meta = self._ask(f"look at {key}", lambda: obstore.head(self._objects, self.prefix + key))
        except ObjectMissing:
            return None
        return ListedObject(key, meta["size"], _plain(meta["e_tag"]), meta["last_modified"])

    def chunks(self, key: str, size: int | None = None, start: int = 0) -> Iterator[bytes]:
        """Yield the object from `start` on in parts of at most 8 MiB, each fetched again if the connection breaks.

        All parts come from one version of the object: if it is replaced meanwhile, this raises `StoreError`.
        """
        if size is None:
            found = self.stat(key)
            if found is None:
                raise ObjectMissing(f"{key} isn't in {self.url}")
            size = found.size
        etag: str | None = None
        position = start
        while position < size or position == 0:
            part, etag, size = self._part(key, position, etag, size)
            yield part
            position += len(part)
            if not part:
                break

    def _part(self, key: str, start: int, etag: str | None, size: int) -> tuple[bytes, str | None, int]:
        import obstore

        end = min(start + PART_BYTES, size)
        options: Any = {"range": (start, end)} if size > 0 else {}
        if etag is not None:
            options["if_match"] = etag

        def fetch() -> tuple[bytes, str | None, int]:
            answer = obstore.get(self._objects, self.prefix + key, options=options)
            meta = answer.meta
            body = bytes(answer.bytes())
            if meta["size"] >= end and len(body) != end - start:
                raise ConnectionError(f"got {len(body)} of {end - start} bytes")
            return body, meta["e_tag"], meta["size"]

        return self._ask(f"read {key}", fetch, attempts=READ_ATTEMPTS)

    def write(self, key: str, chunks: Iterator[bytes], size: int) -> ListedObject:
        import obstore

        attributes: Any = {"Content-Type": _media_type(key)}
        if size <= PART_BYTES:
            body: Any = b"".join(chunks)
            self._ask(
                f"write {key}",
                lambda: obstore.put(self._objects, self.prefix + key, body, attributes=attributes, use_multipart=False),
            )
        else:
            self._ask(
                f"write {key}",
                lambda: obstore.put(
                    self._objects,
                    self.prefix + key,
                    chunks,
                    attributes=attributes,
                    use_multipart=True,
                    chunk_size=PART_BYTES,
                    max_concurrency=PARTS_AT_ONCE,
                ),
            )
        written = self.stat(key)
        if written is None or written.size != size:
            found = "nothing" if written is None else f"{written.size} bytes"
            raise StoreError(f"{key} was written to {self.url} with {size} bytes, but {found} came back: write again")
        return written

    def create(self, key: str, data: bytes) -> ListedObject | None:
        import obstore
        from obstore.exceptions import AlreadyExistsError

        attributes: Any = {"Content-Type": _media_type(key)}

        def put() -> bool:
            try:
                obstore.put(self._objects, self.prefix + key, data, attributes=attributes, mode="create")
            except AlreadyExistsError:
                return False
            return True

        return self.stat(key) if self._ask(f"create {key}", put) else None

    def copy(self, source: str, target: str) -> None:
        import obstore

        self._ask(
            f"copy {source} to {target}",
            lambda: obstore.copy(self._objects, self.prefix + source, self.prefix + target),
        )

    def delete(self, key: str) -> None:
        import obstore

        try:
            self._ask(f"delete {key}", lambda: obstore.delete(self._objects, self.prefix + key))
        except ObjectMissing:
            return

    def presigned(self, key: str, method: Literal["GET", "PUT"], seconds: int) -> str:
        import obstore

        expires = timedelta(seconds=seconds)
        signed: str = self._ask(
            f"sign a link to {key}", lambda: obstore.sign(self._objects, method, self.prefix + key, expires)
        )
        return signed

    def list(self, prefix: str, start_after: str | None) -> Iterator[ListedObject]:
        for page in self._pages(prefix, start_after=start_after):
            for entry in page.get("Contents", ()):
                key = entry["Key"][len(self.prefix) :]
                if key.endswith("/") and entry["Size"] == 0:
                    continue  # consoles and FTP gateways mark "folders" with such objects
                yield ListedObject(key, entry["Size"], _plain(entry.get("ETag")), entry["LastModified"])

    def list_folders(self, prefix: str) -> Names:
        start = len(self.prefix) + len(prefix.rpartition("/")[0]) + ("/" in prefix)
        return [
            entry["Prefix"][start:].rstrip("/")
            for page in self._pages(prefix, delimiter="/")
            for entry in page.get("CommonPrefixes", ())
        ]

    def _pages(
        self, prefix: str, start_after: str | None = None, delimiter: str | None = None
    ) -> Iterator[dict[str, Any]]:
        request: dict[str, Any] = {"Bucket": self.bucket, "Prefix": self.prefix + prefix, "MaxKeys": PAGE_KEYS}
        if start_after is not None:
            request["StartAfter"] = self.prefix + start_after
        if delimiter is not None:
            request["Delimiter"] = delimiter
        while True:
            page = self._ask(f"list {prefix or 'everything'}", lambda: self._client.list_objects_v2(**request))
            yield page
            token = page.get("NextContinuationToken")
            if not page.get("IsTruncated") or not token:
                return
            request["ContinuationToken"] = token

    def _ask(self, purpose: str, request: Callable[[], Answer], attempts: int = 1) -> Answer:
        """Return what `request` returns; every way it can fail becomes a `StoreError` without secrets in it."""
        from botocore.exceptions import BotoCoreError, ClientError
        from obstore.exceptions import BaseError, NotFoundError, PreconditionError

        for attempt in range(1, attempts + 1):
            try:
                return request()
            except (NotFoundError, FileNotFoundError) as error:
                if "NoSuchBucket" in str(error):
                    raise StoreError(f"can't {purpose}: there is no bucket {self.bucket}; create it") from None
                raise ObjectMissing(f"can't {purpose}: it isn't in {self.url}") from None
            except PreconditionError:
                raise StoreError(f"can't {purpose} in {self.url}: it was replaced meanwhile; try again") from None
            except (BaseError, BotoCoreError, ClientError, OSError, ValueError) as error:
                if attempt == attempts or not isinstance(error, (BaseError, OSError)):
                    raise StoreError(f"can't {purpose} in {self.url}: {self._reason(error)}") from None
        raise AssertionError("unreachable")

    def _reason(self, error: Exception) -> str:
        # obstore appends the whole request as "Debug source"; the sentence before it says what a person can use.
        text = re.split(r"\n\s*Debug source", str(error))[0].strip() or type(error).__name__
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = re.sub(r"(X-Amz-(?:Signature|Credential|Security-Token)=)[^&\s)]+", r"\1***", text)
        return f"{text}; check that the server answers, the bucket exists and the credentials may use it"


def _plain(etag: str | None) -> str | None:
    return etag.strip('"') if etag else None


def _media_type(key: str) -> str:
    return mimetypes.guess_type(key)[0] or "application/octet-stream"
