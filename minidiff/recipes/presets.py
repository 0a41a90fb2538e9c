"""Nets and settings that several recipes share, one for a processor and one for a card."""

SPACE_TO_DEPTH = {"channels": [48, 64, 64], "blocks": 2, "patch": 2, "width": 96}
WIDE = {"channels": [64, 128, 256], "blocks": 2, "patch": 2, "width": 256}  # a step on a card is bound by memory
ON_A_CARD = {"lr": 2e-3, "precision": "bfloat16", "compile": True}

UNET = {
    "cpu": {"net": SPACE_TO_DEPTH, "batch": 64, "fit": {"lr": 2e-3, "precision": "float32"}},
    "cuda": {"net": WIDE, "batch": 1024, "fit": ON_A_CARD},
}
