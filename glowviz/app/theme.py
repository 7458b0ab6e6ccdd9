"""Every colour, font size, distance and symbol of the page is a token here; CSS and canvas read the same."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Shade:
    """One colour in both themes, as #RRGGBB."""

    light: str
    dark: str


@dataclass(frozen=True)
class Family:
    """A group of ops that look alike: `glyph` and op name carry the meaning, colour only helps."""

    key: str
    title: str
    glyph: str
    bar: Shade
    tint: Shade


@dataclass(frozen=True)
class ChangeMark:
    """How one state of the union of before and after is drawn: letter, outline form and colour."""

    key: str
    letter: str
    form: str
    shade: Shade


SURFACES: Final[dict[str, Shade]] = {
    "canvas": Shade("#F6F7F9", "#0F1318"),
    "panel": Shade("#FFFFFF", "#171C23"),
    "ink": Shade("#1B1F24", "#E6EAF0"),
    "muted": Shade("#57606A", "#9AA6B2"),
    "line": Shade("#D0D7DE", "#2E3742"),
    "control": Shade("#8A929E", "#6E7A87"),
    "accent": Shade("#0B5CAD", "#6CB6FF"),
    "accent-tint": Shade("#E4EEF8", "#182C42"),
    "hover": Shade("#EFF2F5", "#1E252E"),
    "shadow": Shade("#1B1F2433", "#00000099"),
    "heat-low": Shade("#EAF2FB", "#16222F"),
    "heat-high": Shade("#0B3B8C", "#9FD0FF"),
}

INK: Final = SURFACES["ink"]
PANEL: Final = SURFACES["panel"]

FAMILIES: Final[tuple[Family, ...]] = (
    Family("linear", "conv, matmul", "■", Shade("#1F4E9E", "#4C8FD8"), Shade("#E3ECF8", "#12293B")),
    Family("norm", "norm, softmax, reduce", "◆", Shade("#A855D8", "#A45CFF"), Shade("#F3E9F9", "#2A1F3A")),
    Family("elementwise", "element-wise", "●", Shade("#0B7B48", "#3FE0A0"), Shade("#E0F3EA", "#0F2B24")),
    Family("pool", "pool, resize", "▲", Shade("#B8741A", "#B5842A"), Shade("#FAEFDF", "#33260F")),
    Family("quant", "quant, cast", "▣", Shade("#6B0F3F", "#D13A7C"), Shade("#F8E6EE", "#351A2A")),
    Family("shape", "shape, movement", "▭", Shade("#7C8591", "#D3DCE6"), Shade("#EEF0F2", "#222932")),
    Family("control", "control, recurrent", "↻", INK, PANEL),
    Family("host", "host call", "!", INK, PANEL),
)
FAMILY_INDEX: Final[dict[str, int]] = {family.key: number for number, family in enumerate(FAMILIES)}

CHANGES: Final[tuple[ChangeMark, ...]] = (
    ChangeMark("same", "", "plain", SURFACES["line"]),
    ChangeMark("added", "+", "double", Shade("#1F6FEB", "#6AA0D8")),
    ChangeMark("removed", "−", "dashed", Shade("#8E1600", "#FF6A2B")),
    ChangeMark("changed", "~", "thick", Shade("#8A6D00", "#F5DEA0")),
    ChangeMark("merged", "⇄", "badge", Shade("#3B0A80", "#D05BFF")),
)
CHANGE_INDEX: Final[dict[str, int]] = {mark.key: number for number, mark in enumerate(CHANGES)}

FONT_SIZES: Final[dict[str, int]] = {
    "tiny": 11,
    "small": 12,
    "body": 13,
    "title": 15,
    "number": 20,
    "door": 28,
}
SPACES: Final[tuple[int, ...]] = (4, 8, 12, 16, 24, 32)
METRICS: Final[dict[str, int]] = {
    "bar": 44,
    "numbers": 56,
    "dock-closed": 32,
    "dock-open": 300,
    "status": 24,
    "ledger": 300,
    "inspector": 340,
}
BOX_HEIGHT: Final = 28
BOX_MIN_WIDTH: Final = 96
BOX_MAX_WIDTH: Final = 220
BOX_GAP: Final[tuple[int, int]] = (24, 16)  # horizontal, vertical

_FAMILY_OPS: Final[dict[str, str]] = {
    "linear": """
        Conv ConvTranspose ConvInteger QLinearConv DeformConv MatMul MatMulInteger QLinearMatMul
        winograd_input winograd_result strassen_sums strassen_product
        Gemm FullyConnected BatchMatMul Linear Einsum Attention MultiHeadAttention Gather_MatMul
        conv matmul gemm fc wino_gemm_out attention depthwise
    """,
    "norm": """
        BatchNormalization LayerNormalization InstanceNormalization GroupNormalization
        RMSNormalization LRN LpNormalization MeanVarianceNormalization Softmax LogSoftmax
        Hardmax ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2
        ReduceLogSum ReduceLogSumExp ReduceSumSquare ArgMax ArgMin TopK CumSum BatchedReduceAdd
        SoftmaxCrossEntropyLoss NegativeLogLikelihoodLoss softmax layer_norm reduce norm argmax
    """,
    "pool": """
        MaxPool AveragePool GlobalAveragePool GlobalMaxPool GlobalLpPool LpPool MaxUnpool
        MaxRoiPool RoiAlign Resize Upsample GridSample max_pool avg_pool pool resize
    """,
    "quant": """
        QuantizeLinear DequantizeLinear DynamicQuantizeLinear Quantize Dequantize Rescale Cast
        CastLike quantize dequantize rescale cast
    """,
    "shape": """
        Reshape Transpose Flatten Squeeze Unsqueeze Concat Split Slice Pad Expand Tile Gather
        GatherElements GatherND Scatter ScatterElements ScatterND Shape Size Identity Constant
        ConstantOfShape Range OneHot NonZero Compress DepthToSpace SpaceToDepth ReverseSequence
        EyeLike Trilu Splat Broadcast Copy Unique Where_shape copy transpose reshape concat
        slice pad gather splat alloc dealloc tensorview fill pack view
    """,
    "control": "If Loop Scan LSTM GRU RNN SequenceMap if loop lstm gru rnn",
    "host": "Opaque host_call host",
}
_OP_FAMILY: Final[dict[str, str]] = {op: key for key, ops in _FAMILY_OPS.items() for op in ops.split()}


def family_of(op: str) -> str:
    """Return the family key of an op or instruction name; whatever no table names is element-wise.

    A fused op (`Fused`, or a name such as `Conv+Relu`) takes the family of its first named part.
    """
    for part in op.replace("@", "+").split("+"):
        if part in _OP_FAMILY:
            return _OP_FAMILY[part]
    return "elementwise"


def family_index(op: str) -> int:
    """Return the position of `op`'s family in FAMILIES, the number that payloads carry."""
    return FAMILY_INDEX[family_of(op)]


def css() -> str:
    """Return the style sheet text that defines every token as a CSS variable, for light and dark."""
    light = _colours("light")
    dark = _colours("dark")
    return "\n".join(
        (
            ":root {",
            *_measures(),
            "}",
            ":root, :root[data-theme=light] {",
            "  color-scheme: light;",
            *light,
            "}",
            ":root[data-theme=dark] {",
            "  color-scheme: dark;",
            *dark,
            "}",
            "",
        )
    )


def _colours(theme: str) -> list[str]:
    lines = [f"  --{name}: {getattr(shade, theme)};" for name, shade in SURFACES.items()]
    for number, family in enumerate(FAMILIES):
        lines.append(f"  --family-{number}-bar: {getattr(family.bar, theme)};")
        lines.append(f"  --family-{number}-tint: {getattr(family.tint, theme)};")
    lines += [f"  --change-{number}: {getattr(mark.shade, theme)};" for number, mark in enumerate(CHANGES)]
    return lines


def _measures() -> list[str]:
    lines = ["  --scale: 1;"]
    lines += [f"  --font-{name}: calc({size}px * var(--scale));" for name, size in FONT_SIZES.items()]
    lines += [f"  --space-{number}: {size}px;" for number, size in enumerate(SPACES, start=1)]
    lines += [f"  --size-{name}: calc({size}px * var(--scale));" for name, size in METRICS.items()]
    lines += ["  --radius-box: 4px;", "  --radius-card: 8px;"]
    return lines


def marks() -> dict[str, object]:
    """Return glyphs, letters and titles as plain data for the drawing modules (`window.glowviz_marks`)."""
    return {
        "families": [{"key": f.key, "title": f.title, "glyph": f.glyph} for f in FAMILIES],
        "changes": [{"key": m.key, "letter": m.letter, "form": m.form} for m in CHANGES],
        "box": {"height": BOX_HEIGHT, "min": BOX_MIN_WIDTH, "max": BOX_MAX_WIDTH, "gap": list(BOX_GAP)},
    }
