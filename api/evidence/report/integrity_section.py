"""Write the last part of a pack's report.

It shows the recorded digest of each file, whether the file's bytes match the digest, and how to verify the pack.
"""

from collections.abc import Iterator, Mapping, Sequence

from api.evidence.report.blocks import Block, Heading, Paragraph, TableBlock
from api.evidence.report.wording import size
from schema.evidence.packs import IntegrityFinding, PackedMedium, PackedRevision, PackedThumbnail

FINDINGS = {
    IntegrityFinding.SAME: "相符",
    IntegrityFinding.ALTERED: "与登记不符",
    IntegrityFinding.MISSING: "原件缺失",
    IntegrityFinding.NOT_READY: "未核验，未装入",
}
OF_THUMBNAILS = {
    IntegrityFinding.ALTERED: "缩略图与制作时登记不符，未装入",
    IntegrityFinding.MISSING: "缩略图缺失",
}


def integrity_blocks(
    media: Sequence[PackedMedium],
    thumbnails: Sequence[PackedThumbnail],
    revisions: Sequence[PackedRevision],
    numbers: Mapping[str, str],
) -> Iterator[Block]:
    """Yield the blocks. `numbers` maps the id of a medium to its number in the report."""
    if media:
        yield Heading(f"原件与摘要（{len(media)}）")
        rows = [
            (numbers.get(medium.id, "—"), size(medium.byte_size), medium.sha256, FINDINGS[medium.finding])
            for medium in media
        ]
        yield TableBlock(("影像", "大小", "SHA-256（登记值）", "现状"), (0.1, 0.19, 0.55, 0.16), rows, code=(2,))
    unrecorded = [thumbnail for thumbnail in thumbnails if thumbnail.finding is IntegrityFinding.UNRECORDED]
    if unrecorded:
        names = "、".join(numbers.get(thumbnail.media_id, thumbnail.media_id) for thumbnail in unrecorded)
        yield Paragraph(f"缩略图制作时未登记摘要、须与原件对照：{names}。", "small")
    if with_receipt := [revision for revision in revisions if revision.content_sha256]:
        yield Heading("回执摘要")
        rows = [
            (
                revision.observation_id,
                str(revision.number),
                revision.content_sha256 or "",
                "可" if revision.path else "不可",
            )
            for revision in with_receipt
        ]
        yield TableBlock(("记录", "版", "contentSha256", "复算"), (0.325, 0.045, 0.555, 0.075), rows, code=(0, 2))
    yield Heading("如何核验")
    yield Paragraph(
        "本包由服务器签名。manifest.json 列出每个文件的大小和 SHA-256，manifest.sig 是对它的 Ed25519 签名，"
        "evidence-key.pem 是公钥。不需要服务器和网络：scripts/verify 包名.zip --fingerprint 指纹。指纹须从出具机构另行取得，"
        "与本页所印的相符才可信。也可以用 sha256sum 和 openssl 核验。签名证明内容自制作时起未变，不证明所记之事属实。"
    )
