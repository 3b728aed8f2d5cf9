"""Schema of an explanation: members that are always present, and members that depend on method and options."""

from __future__ import annotations

from typing import Any

from handlers.explain.evidence.faithfulness import MAX_START_PROBABILITY
from handlers.explain.evidence.warnings import KINDS
from handlers.explain.methods.baselines import NAMES as BASELINES
from handlers.explain.methods.baselines import TRAINING_IMAGES
from handlers.explain.registry import METHODS
from scripts.maintenance.openapi.schema_types import (
    COUNT,
    NUMBER,
    SHARE,
    SWITCH,
    WORD,
    Schema,
    described,
    list_of,
    object_of,
)

PNG: Schema = {**WORD, "contentEncoding": "base64"}
_WEBP = {**PNG, "contentMediaType": "image/webp"}
_BOX = {"type": "array", "items": {"type": "integer"}, "minItems": 4, "maxItems": 4}
_BOX_TEXT = "Left, top, right and bottom in pixels of the image that was sent. Right and bottom are exclusive."
_CLASS = {
    "label": described(WORD, "Label of the class."),
    "index": described(COUNT, "Index of the class in the model's list of classes."),
}
_REGIONS = list_of(
    object_of(
        {
            "box": described(_BOX, _BOX_TEXT),
            "share": described(SHARE, "Share of the evidence that lies in this box."),
        }
    )
)
_METHODS = ", ".join(f"`{name}` is {METHODS[name].title}" for name in METHODS)
_WARNINGS = " ".join(f"`{kind}`: {meaning}." for kind, meaning in KINDS.items())

ALWAYS: dict[str, Any] = {
    "method": described({"enum": list(METHODS)}, f"Attribution method that made the map: {_METHODS}."),
    "target": described(
        object_of(
            {
                **_CLASS,
                "source": described(
                    {"enum": ["predicted", "requested", "contrast"]},
                    "Who chose the class: the prediction, the option `target`, or the option `contrast`.",
                ),
                "probability": described(SHARE, "Calibrated probability of the class."),
                "raw_probability": described(SHARE, "Probability of the class without calibration."),
            }
        ),
        "The class that is explained.",
    ),
    "target_logit": described(
        NUMBER, "Logit of the class for this image. In a contrast it is the difference of two logits."
    ),
    "regions": described(
        object_of(
            {
                "for": described(_REGIONS, "Boxes with most of the evidence for the class, strongest first."),
                "against": described(_REGIONS, "Boxes with most of the evidence against the class, strongest first."),
                "balance": described(
                    {**SHARE, "type": ["number", "null"]},
                    "Share of the evidence that speaks for the class. It is null if there is no evidence.",
                ),
                "sentence": described(WORD, "The regions as an English sentence."),
            }
        ),
        "Where the evidence lies in the image.",
    ),
    "warnings": described(
        list_of(
            object_of(
                {
                    "type": described({"enum": list(KINDS)}, f"Type of the warning. {_WARNINGS}"),
                    "message": described(WORD, "The warning as a sentence, with the measured values."),
                }
            )
        ),
        "Reasons to trust the explanation less. The list is often empty.",
    ),
    "milliseconds": described(NUMBER, "Time of the explanation, without decoding and without drawing."),
    "overlay_png": described(
        PNG, "PNG of the map over the image, as base64. Red is evidence for the class, and blue is evidence against it."
    ),
    "heatmap_png": described(PNG, "PNG of the map alone, as base64, with one pixel for each value of the map."),
}
# Present if the method has them, or if an option requests them.
SOMETIMES: dict[str, Any] = {
    "contrast": described(object_of(_CLASS), "In a contrast, the class that the target is compared with."),
    "steps": described(COUNT, "Number of steps or samples, if the method has them."),
    "baseline": described(
        {"enum": [*BASELINES, TRAINING_IMAGES]},
        f"What the method compared the image with, if it uses a baseline. `{TRAINING_IMAGES}` are some images that the "
        "model was trained on.",
    ),
    "smoothgrad_samples": described(COUNT, "Number of noisy copies that were averaged, for gradient methods."),
    "deadline": described(
        object_of(
            {
                "deadline_ms": described(COUNT, "The deadline of the request in milliseconds."),
                "left_ms": described(NUMBER, "Milliseconds that were left when the method was chosen."),
                "estimate_ms": described(NUMBER, "Expected milliseconds of the method."),
            }
        ),
        "How the deadline chose the method. Present if the request has a deadline.",
    ),
    "baseline_logit": described(
        NUMBER, "Logit of the class for the baseline, if the method uses one. For training images it is the mean."
    ),
    "completeness": described(
        object_of(
            {
                "delta": described(
                    NUMBER,
                    "Sum of the attributions, minus the difference between `target_logit` and `baseline_logit`.",
                ),
                "ok": described(
                    SWITCH, "True if the delta is at most 5 % of that difference, or of 1 if that is larger."
                ),
            }
        ),
        "Whether the attributions sum to the difference of the logits. Present for methods with this property.",
    ),
    "faithfulness": described(
        {
            "anyOf": [
                object_of(
                    {
                        "deletion": described(
                            NUMBER, "Area under the curve when the strongest patches are removed first."
                        ),
                        "insertion": described(
                            NUMBER, "Area under the curve when the strongest patches are inserted first."
                        ),
                        "gap": described(NUMBER, "Insertion minus deletion. A larger gap is a more faithful map."),
                        "versus_random": described(NUMBER, "The gap, minus the gap of a random map."),
                        "versus_center": described(NUMBER, "The gap, minus the gap of a map of the center."),
                        "insertion_baseline": described(
                            {"enum": ["blur", "mean"]},
                            "Image that insertion starts from: the blurred image, or the mean color if the blurred "
                            f"image keeps the class with a probability above {MAX_START_PROBABILITY:g}.",
                        ),
                        "insertion_start": described(
                            SHARE, "Probability of the class in that image, before any patch is inserted."
                        ),
                    }
                ),
                {"type": "null"},
            ]
        },
        "How faithful the map is to the network. It is null if there is no evidence. Present if the option "
        "`faithfulness` is true.",
    ),
    "counterfactual": described(
        {
            "anyOf": [
                object_of(
                    {
                        "label": described(WORD, "Label of the class that is predicted when the patches are blurred."),
                        "index": described(COUNT, "Index of that class in the model's list of classes."),
                        "boxes": described(list_of(_BOX), f"The patches. {_BOX_TEXT}"),
                        "share": described(SHARE, "Share of the image that the patches cover."),
                        "probability": described(SHARE, "Probability of that class when the patches are blurred."),
                    }
                ),
                {"type": "null"},
            ]
        },
        "A few patches that change the prediction when they are blurred. It is null if no patches change it, or if "
        "there is no evidence. Present if the option `counterfactual` is true.",
    ),
    "neighbors": described(
        list_of(
            object_of(
                {
                    **_CLASS,
                    "distance": described(NUMBER, "Cosine distance between the embeddings of the two images."),
                    "thumbnail": described(_WEBP, "Small copy of the training image: WebP, as base64."),
                }
            )
        ),
        "The most similar training images, nearest first. Absent if the archive has no training images.",
    ),
}
