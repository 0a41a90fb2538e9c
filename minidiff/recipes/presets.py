"""Nets and settings that several recipes share, one for a processor and one for a card."""

SPACE_TO_DEPTH = {"channels": [48, 64, 64], "blocks": 2, "patch": 2, "width": 96}
FULL_RESOLUTION = {"channels": [64, 128, 128], "blocks": 2, "attention": [1], "width": 256}
ON_A_CARD = {"lr": 2e-3, "precision": "bfloat16", "compile": True, "ema_decay": 0.9995}

UNET = {
    "cpu": {"net": SPACE_TO_DEPTH, "batch": 64, "fit": {"lr": 2e-3, "precision": "float32"}},
    "cuda": {"net": FULL_RESOLUTION, "batch": 512, "fit": ON_A_CARD},
}
