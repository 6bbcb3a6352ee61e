"""Recognise picture editing programs (修图软件) by the name that they write into a file."""

import re

# Phones and cameras write their firmware into the same field ("MIUI Camera", "HDR+ 1.0.3", "iOS 17.1", "Ver.1.00"), so
# only a name on this list counts. Names match whole words only, so that no firmware name matches by accident.
_NAMES: dict[str, str] = {
    "Adobe Photoshop": "photoshop",
    "Adobe Lightroom": "lightroom",
    "Affinity Photo": "affinity photo|affinity designer",
    "Apple Photos editing": "pixelmator|photomator",
    "B612": "b612",
    "BeautyPlus": "beautyplus|beauty plus",
    "Canva": "canva",
    "CapCut 剪映": "capcut|jianying|剪映",
    "Capture One": "capture one",
    "Corel": "paintshop|corel",
    "darktable": "darktable",
    "Facetune": "facetune",
    "Faceu 激萌": "faceu|激萌",
    "Fotor": "fotor",
    "GIMP": "gimp",
    "ImageMagick": "imagemagick|magick",
    "Meitu 美图秀秀": "meitu|xiuxiu|mtxx|美图|美颜相机|beautycam",
    "Nik Collection": "nik collection|color efex|viveza",
    "PaintTool or Krita": "krita|painttool",
    "Paint.NET": r"paint\.net",
    "Microsoft Paint or Photos": "microsoft paint|mspaint|windows photo editor|microsoft windows photo",
    "PhotoScape": "photoscape",
    "Photopea": "photopea",
    "PhotoDirector": "photodirector",
    "Picasa": "picasa",
    "PicsArt": "picsart",
    "Pixlr": "pixlr",
    "Polarr 泼辣": "polarr|泼辣",
    "RawTherapee": "rawtherapee",
    "Snapseed": "snapseed",
    "Topaz": "topaz",
    "VSCO": "vsco",
    "WPS 图片": "wps office|kingsoft",
    "醒图": "醒图|xingtu|retouch",
    "轻颜": "轻颜|ulike",
    "天天P图": "天天p图|pitu",
    "光影魔术手": "光影魔术手|neoimaging",
    "ACDSee": "acdsee",
}
_EDITORS = [
    (name, re.compile(rf"(?<![a-z0-9])(?:{pattern})(?![a-z])", re.IGNORECASE)) for name, pattern in _NAMES.items()
]


def editor_of(software: str | None) -> str | None:
    """Return the common name of the editing program in the software field of a file.

    Return None for firmware, cameras and unknown programs.
    """
    if not software:
        return None
    return next((name for name, pattern in _EDITORS if pattern.search(software[:500])), None)
