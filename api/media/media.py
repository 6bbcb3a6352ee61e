"""Offer the mutations that request, confirm and abort uploads. Register the operations on media."""

from typing import Annotated

import strawberry

from api.graphql.context import Info
from api.graphql.nodes import RecordKind
from api.media.loaders import LOADERS, find_media
from api.media.upload_confirmation import confirm_media
from api.media.uploads import abort_uploads, request_uploads
from api.registration import Registration
from schema.access.guards import mutation
from schema.core.refusals import Refused
from schema.media import media, media_facts, shown_times, uploads
from schema.media.uploads import (
    AbortUploadsInput,
    AbortUploadsPayload,
    ConfirmMediaInput,
    ConfirmMediaPayload,
    RequestUploadsInput,
    RequestUploadsPayload,
)

RequestUploadsResult = Annotated[
    RequestUploadsPayload | Refused,
    strawberry.union(
        "RequestUploadsResult", description="One result for each medium, or the refusal of the whole request."
    ),
]
ConfirmMediaResult = Annotated[
    ConfirmMediaPayload | Refused,
    strawberry.union(
        "ConfirmMediaResult", description="One result for each medium, or the refusal of the whole request."
    ),
]
AbortUploadsResult = Annotated[
    AbortUploadsPayload | Refused,
    strawberry.union(
        "AbortUploadsResult", description="One result for each medium, or the refusal of the whole request."
    ),
]


@strawberry.type
class MediaMutations:
    @mutation(
        description="Request upload slots for your own media. A slot has new or renewed signed URLs. For a multipart"
        " upload, it also shows which parts have arrived (申请上传)."
    )
    async def request_uploads(self, info: Info, input: RequestUploadsInput) -> RequestUploadsResult:
        return RequestUploadsPayload(results=await request_uploads(info.context, input.media))

    @mutation(description="Confirm that media have been uploaded. The worker then verifies their bytes (确认上传).")
    async def confirm_media(self, info: Info, input: ConfirmMediaInput) -> ConfirmMediaResult:
        return ConfirmMediaPayload(results=await confirm_media(info.context, input.media_ids))

    @mutation(
        description="Abort multipart uploads. The object store deletes the parts, and the state of the media does not"
        " change (取消上传). A single PUT or a form upload needs no abort: it arrives in full or not at all."
    )
    async def abort_uploads(self, info: Info, input: AbortUploadsInput) -> AbortUploadsResult:
        return AbortUploadsPayload(results=await abort_uploads(info.context, input.media_ids))


REGISTRATION = Registration(
    mutations=(MediaMutations,),
    kinds=(RecordKind("med", find_media),),
    loaders=LOADERS,
    permits=(*media.PERMITS, *media_facts.PERMITS, *shown_times.PERMITS, *uploads.PERMITS),
)
