# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
What the schemas of PAGE and ALTO ask of the elements that are written, put down by hand: no package has the schema of
ALTO, nor those of PAGE before 2019. For each element: its children in their order and which of them it cannot do
without, the attributes that it must have, those with a form, and the words that it may hold. In the whole file, no
identifier is there twice, and whatever names one names one that is there.
"""

import datetime
import re
from collections import Counter

from lxml import etree

WHOLE, NUMBER, SHARE = r"\d+", r"-?\d+(\.\d+)?", r"0(\.\d+)?|1(\.0+)?"
PAGE_POINTS = r"(\d+,\d+ )+(\d+,\d+)"
ALTO_POINTS = r"-?[\d.]+[ ,]-?[\d.]+([ ,]-?[\d.]+)+"
NAME = r"[^\W\d][\w.\-]*"

# name: (children in their order, "!" behind one that must be there, "+" behind one that may be repeated), attributes
PAGE = {
    "PcGts": ("Metadata! Page!", {}),
    "Metadata": ("Creator! Created! LastChange! Comments UserDefined MetadataItem+", {}),
    "MetadataItem": ("Labels+", {"type?": "author|imageProperties|processingStep|other", "value": ".*"}),
    "Page": (
        "AlternativeImage+ Border PrintSpace ReadingOrder Layers Relations TextStyle UserDefined Labels+ *",
        {"imageFilename": ".+", "imageWidth": WHOLE, "imageHeight": WHOLE},
    ),
    "ReadingOrder": ("*", {}),
    "RegionRefIndexed": ("", {"index": WHOLE, "regionRef": NAME}),
    "TextRegion": (
        "AlternativeImage+ Coords! UserDefined Labels+ Roles TextRegion+ TextLine+ TextEquiv+ TextStyle",
        {"id": NAME},
    ),
    "TextLine": (
        "AlternativeImage+ Coords! Baseline Word+ TextEquiv+ TextStyle UserDefined Labels+",
        {"id": NAME},
    ),
    "Word": ("AlternativeImage+ Coords! Glyph+ TextEquiv+ TextStyle UserDefined Labels+", {"id": NAME}),
    "TextEquiv": ("PlainText Unicode!", {"conf?": SHARE, "index?": WHOLE}),
    "Unicode": ("", {}),
    "Coords": ("", {"points": PAGE_POINTS}),
    "Baseline": ("", {"points": PAGE_POINTS}),
}
PAGE_2010 = {
    **PAGE,
    "Coords": ("Point+", {}),
    "Baseline": ("Point+", {}),
    "Point": ("", {"x": WHOLE, "y": WHOLE}),
    "Metadata": ("Creator! Created! LastChange! Comments", {}),
    "TextEquiv": ("PlainText Unicode!", {}),
}
PLACE = {"HPOS": NUMBER, "VPOS": NUMBER, "WIDTH": NUMBER, "HEIGHT": NUMBER}
STEP = "processingCategory processingDateTime processingAgency processingStepDescription+ processingStepSettings "
STEP += "processingSoftware"
ALTO = {
    "alto": ("Description Styles Tags ReadingOrder Layout!", {}),
    "Description": ("MeasurementUnit! sourceImageInformation OCRProcessing+ Processing+", {}),
    "Processing": (STEP, {"ID": NAME}),
    "OCRProcessing": ("preProcessingStep+ ocrProcessingStep! postProcessingStep+", {"ID": NAME}),
    "ocrProcessingStep": (STEP, {}),
    "processingSoftware": ("softwareCreator softwareName softwareVersion applicationDescription", {}),
    "OrderedGroup": ("*", {"ID": NAME}),
    "ElementRef": ("", {"ID": NAME, "REF": NAME}),
    "Page": ("TopMargin LeftMargin RightMargin BottomMargin PrintSpace", {"ID": NAME, "PHYSICAL_IMG_NR": WHOLE}),
    "PrintSpace": ("Shape *", {}),
    "TextBlock": ("Shape TextLine+", {"ID": NAME}),
    "TextLine": ("Shape *", {"BASELINE?": ALTO_POINTS, **PLACE}),
    "String": ("Shape ALTERNATIVE+ Glyph+", {"ID?": NAME, "CONTENT": ".*", "WC?": SHARE, **PLACE}),
    "SP": ("", {"HPOS?": NUMBER, "VPOS?": NUMBER, "WIDTH?": NUMBER}),
    "HYP": ("", {"CONTENT": ".*"}),
    "Shape": ("Polygon", {}),
    "Polygon": ("", {"POINTS": ALTO_POINTS}),
}
# What stands in a line of ALTO: words, each with a space behind it or not, and a hyphen at most at the end.
LINE = r"(Shape )?(String (SP )?)+(HYP )?"
WORDS = {
    "MeasurementUnit": ("pixel", "mm10", "inch1200"),
    "processingCategory": ("contentGeneration", "contentModification", "preOperation", "postOperation", "other"),
}
REFERENCES = ("REF", "TAGREFS", "STYLEREFS", "IDNEXT", "regionRef")


def violations(content: bytes) -> list[str]:
    """What a PAGE or ALTO file has against these rules."""
    root = etree.fromstring(content)
    namespace, name = etree.QName(root).namespace, etree.QName(root).localname
    rules = ALTO if name == "alto" else PAGE_2010 if "/2010" in namespace else PAGE
    found = []
    for element in root.iter(etree.Element):
        name = etree.QName(element).localname
        found += [f"{name} in another namespace"] if etree.QName(element).namespace != namespace else []
        if name in rules:
            children, attributes = rules[name]
            found += wrong_children(element, children) + wrong_attributes(element, attributes)
        if name in WORDS and element.text not in WORDS[name]:
            found.append(f"{name} is {element.text!r}")
        if name == "TextLine" and rules is ALTO:
            inside = "".join(f"{etree.QName(child).localname} " for child in element.iterchildren(etree.Element))
            found += [] if re.fullmatch(LINE, inside) else [f"TextLine of {inside}"]
        if name in ("Created", "LastChange", "processingDateTime"):
            datetime.datetime.fromisoformat(element.text.strip())
    identifiers = Counter(value for element in root.iter() for key in ("id", "ID") if (value := element.get(key)))
    named = [name for tag in root.iter(etree.Element) for key in REFERENCES for name in tag.get(key, "").split()]
    found += [f"{name} is named and not there" for name in named if name not in identifiers]
    return found + [f"identifier {value} twice" for value, number in identifiers.items() if number > 1]


def wrong_children(element: etree._Element, rule: str) -> list[str]:
    names = [etree.QName(child).localname for child in element.iterchildren(etree.Element)]
    order = [name.rstrip("!+") for name in rule.split()]
    unknown = [name for name in names if name not in order and "*" not in order]
    places = [order.index(name) if name in order else len(order) for name in names]
    once = [name for name in rule.split() if name != "*" and not name.endswith("+")]
    wrong = [f"{name} in {element.tag}" for name in unknown]
    wrong += [f"children of {element.tag} out of order: {names}"] if places != sorted(places) else []
    wrong += [
        f"{name} {names.count(name)} times in {element.tag}" for name in once if names.count(name.strip("!")) > 1
    ]
    return wrong + [f"{element.tag} without {name}" for name in once if name[-1] == "!" and name[:-1] not in names]


def wrong_attributes(element: etree._Element, rules: dict[str, str]) -> list[str]:
    wrong = []
    for key, form in rules.items():
        value = element.get(key.rstrip("?"))
        if value is None and not key.endswith("?"):
            wrong.append(f"{element.tag} without {key}")
        elif value is not None and not re.fullmatch(form, value, re.DOTALL):
            wrong.append(f"{key.rstrip('?')} of {element.tag} is {value!r}")
    return wrong
