"""Media: where to put bytes, and the word that they are there; reading media follows from their observation."""

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
    strawberry.union("RequestUploadsResult", description="Slots, one for each medium; or the whole was refused."),
]
ConfirmMediaResult = Annotated[
    ConfirmMediaPayload | Refused,
    strawberry.union("ConfirmMediaResult", description="Results, one for each medium; or the whole was refused."),
]
AbortUploadsResult = Annotated[
    AbortUploadsPayload | Refused,
    strawberry.union("AbortUploadsResult", description="Results, one for each medium; or the whole was refused."),
]


@strawberry.type
class MediaMutations:
    @mutation(
        description="Where to upload media of one's own: fresh or renewed signatures, and parts that are missing."
    )
    async def request_uploads(self, info: Info, input: RequestUploadsInput) -> RequestUploadsResult:
        return RequestUploadsPayload(results=await request_uploads(info.context, input.media))

    @mutation(description="Say that media have been uploaded; the worker then verifies their bytes (确认上传).")
    async def confirm_media(self, info: Info, input: ConfirmMediaInput) -> ConfirmMediaResult:
        return ConfirmMediaPayload(results=await confirm_media(info.context, input.media_ids))

    @mutation(
        description="Give up uploads in parts: the store forgets the parts, the media stay expected (取消上传). "
        "A single PUT or a form needs none of this: it arrives whole or not at all."
    )
    async def abort_uploads(self, info: Info, input: AbortUploadsInput) -> AbortUploadsResult:
        return AbortUploadsPayload(results=await abort_uploads(info.context, input.media_ids))


REGISTRATION = Registration(
    mutations=(MediaMutations,),
    kinds=(RecordKind("med", find_media),),
    loaders=LOADERS,
    permits=(*media.PERMITS, *media_facts.PERMITS, *shown_times.PERMITS, *uploads.PERMITS),
)
