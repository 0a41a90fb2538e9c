"""What the contrastive nets of chapter 11 know, beside what chance gives: benchmarks/clip.json

    python benchmarks/clip.py train tiny-clip [--minutes 4]     also clip-prior, clip-decoder; into checkpoints/
    python benchmarks/clip.py measure [PART ...]                by default all parts; those of nets that are there

Each part replaces its own figures in the record.
"""

import argparse
import json
import shutil
import tempfile
from difflib import SequenceMatcher
from functools import partial
from pathlib import Path

import torch
from measuring import rounded, write

from minidiff.data.caption_vectors import caption_vectors
from minidiff.data.emoji import STYLES, emoji
from minidiff.data.shapes import shapes
from minidiff.evaluation.frechet import frechet
from minidiff.evaluation.memory import memorisation_ratio, nearer_to_train
from minidiff.evaluation.retrieval import nearest_captions, ranks, retrieval_at, truth_ranks, zero_shot
from minidiff.process.contrastive import caption_log_likelihood
from minidiff.process.guidance import cfg
from minidiff.process.likelihood_guidance import reconstruction_guided
from minidiff.recipes.catalogue import find
from minidiff.recipes.clip_decoder import unclip
from minidiff.recipes.recipe import build, load, sample
from minidiff.recipes.run import CHECKPOINTS, hardware, train
from minidiff.recipes.tiny_clip import embed_captions, embed_pictures

RECORD = Path(__file__).with_suffix(".json")
PROMPTS = {"smileys-emotion": "face smiley emotion", "people-body": "person body hand",
           "animals-nature": "animal nature plant", "food-drink": "food drink",
           "travel-places": "travel place building", "activities": "activity game sport",
           "objects": "object tool", "symbols": "symbol sign button"}
CANDIDATES, STEPS = (2, 5, 10, 20, 50, 100), 11


def clip():
    """The committed CLIP: (config, net)."""
    recipe, net = load(CHECKPOINTS / "tiny-clip.safetensors")
    return recipe.config, net


def styled(some):
    """The captions of Emoji, each with its style before it."""
    return [f"{style} {caption}" for style, caption in zip(some.styles, some.captions, strict=True)]


def at_all_sizes(found, M):
    """Retrieval@1 for several numbers of candidates out of M, and the rank of the truth."""
    return {"retrieval@1": {n: rounded(retrieval_at(found, M, n)) for n in (*CANDIDATES, M)},
            "chance": {n: rounded(1 / n) for n in (*CANDIDATES, M)}, "queries": len(found),
            "median rank": float(found.double().quantile(0.5)), "median rank by chance": (M + 1) / 2}


def retrieval():
    """Both directions, held-out pictures beside as many training pictures, and held-out scenes."""
    config, net = clip()
    held, seen = emoji("test"), emoji("train")
    order = torch.randperm(len(seen.captions), generator=torch.Generator().manual_seed(0)).tolist()
    first = {seen.captions[i]: i for i in reversed(order)}  # one picture a caption, so that one answer is right
    some = seen.take(list(first.values())[-len(held.captions):])
    scenes = shapes(154, 5, "test")
    figures = {"scale": rounded(net.scale)}
    for name, pictures, captions in (
            ("held out", held.pictures, styled(held)), ("held out, style not told", held.pictures, list(held.captions)),
            ("training", some.pictures, styled(some)), ("held-out scenes", scenes.pictures, list(scenes.captions))):
        x, texts = embed_pictures(net, pictures), embed_captions(config, net, captions)
        right = torch.arange(len(x))
        figures[name] = {"picture of a text": at_all_sizes(ranks(texts, x, right), len(x)),
                         "text of a picture": at_all_sizes(ranks(x, texts, right), len(x))}
    captions = sorted({*seen.captions, *held.captions})
    found = ranks(embed_pictures(net, held.pictures), embed_captions(config, net, captions),
                  torch.tensor([captions.index(c) for c in held.captions]))
    figures["held out, among all captions"] = {
        "captions": len(captions), **{f"within {k}": rounded((found <= k).double().mean()) for k in (1, 5, 10)},
        "median rank": float(found.double().quantile(0.5))}
    return figures


def classes():
    """Styles and groups of held-out pictures from words alone, beside the most frequent class."""
    config, net = clip()
    held = emoji("test")
    x, figures = embed_pictures(net, held.pictures), {"pictures": len(held.captions)}
    for name, words, truth in (("style", {s: s for s in STYLES[:3]}, held.styles), ("group", PROMPTS, held.groups)):
        said = zero_shot(x, embed_captions(config, net, list(words.values())))
        right = [list(words)[k] == one for k, one in zip(said.tolist(), truth, strict=True)]
        most = max(truth.count(one) for one in words)
        figures[name] = {"right": rounded(sum(right) / len(right)), "classes": len(words),
                         "chance": rounded(1 / len(words)), "most frequent": rounded(most / len(truth))}
    kinds = [embed_captions(config, net, [f"{style} {caption}" for caption in held.captions]) for style in STYLES[:3]]
    for name, said in (("style, mean prompt", zero_shot(x, torch.stack([k.mean(dim=0) for k in kinds]))),
                       ("style, caption told", torch.stack([(x * k).sum(dim=1) for k in kinds], dim=1).argmax(dim=1))):
        figures[name] = rounded(sum(STYLES[k] == s for k, s in zip(said.tolist(), held.styles, strict=True)) / len(x))
    return figures


def words():
    """Which caption the published encoder gives for a word that no caption has."""
    known = caption_vectors()
    names, figures = list(known.captions), {"captions": len(known.captions)}
    rows = {"synonyms": ([names.index(c) for c in known.synonyms.values()], known.synonym_vectors),
            "key words": ([max(map(names.index, cs), key=lambda i: float(known.vectors[i] @ q))
                           for cs, q in zip(known.tags.values(), known.tag_vectors, strict=True)], known.tag_vectors)}
    for kind, (truth, queries) in rows.items():
        found = ranks(queries, known.vectors, torch.tensor(truth))
        figures[kind] = {"words": len(found), "median rank": float(found.double().quantile(0.5)),
                         **{f"within {k}": rounded((found <= k).double().mean()) for k in (1, 5, 10)}}
    spelt = [max(names, key=lambda c: SequenceMatcher(None, word, c).ratio()) for word in known.synonyms]
    figures["synonyms by spelling, within 1"] = rounded(
        sum(a == b for a, b in zip(spelt, known.synonyms.values(), strict=True)) / len(spelt))
    figures["chance within 1"] = rounded(1 / len(names))
    figures["examples"] = {word: [f"{caption} {cosine:.2f}" for caption, cosine in
                                  nearest_captions(known.synonym_vectors[i], known.vectors, names)]
                           for i, word in list(enumerate(known.synonyms))[::12]}
    return figures


def prior():
    """The cosine of what the prior makes of a caption with the vector of its true picture, held out and seen."""
    config, net = clip()
    recipe, made = load(CHECKPOINTS / "clip-prior.safetensors")
    seen, figures = emoji("train"), {}
    everywhere = embed_pictures(net, seen.pictures)
    texts = embed_captions(config, net, styled(seen))
    linear = torch.linalg.lstsq(texts.T @ texts + torch.eye(texts.shape[1]), texts.T @ everywhere).solution
    for name, some in (("held out", emoji("test")), ("training", seen.take(range(0, len(seen.captions), 31)))):
        truth, text = embed_pictures(net, some.pictures), embed_captions(config, net, styled(some))
        draws = torch.stack([sample(recipe, made, len(truth), seed=s, text=text) for s in range(16)])
        right, difference = torch.arange(len(truth)), draws[0] - draws[1]
        answers = {"one sample": draws[0], "mean of 16 samples": draws.mean(dim=0), "the text's vector": text,
                   "linear map of the text": text @ linear, "sample of another text": draws[0].roll(1, 0),
                   "mean of all pictures": everywhere.mean(dim=0).expand_as(truth),
                   "better of two by the text": torch.where((difference * text).sum(1, True) > 0, *draws[:2])}
        figures[name] = {"pictures": len(truth)} | {
            kind: {"cosine": rounded(torch.cosine_similarity(x, truth).mean()),
                   "standard error": rounded(torch.cosine_similarity(x, truth).std() / len(x) ** 0.5, 2),
                   "retrieval@1": rounded((ranks(x, truth, right) == 1).double().mean())}
            for kind, x in answers.items()}
    return figures


def of_drawn(drawn, net, held, seen):
    """How near drawn pictures come to the true held-out ones, and to those of training."""
    x, truth, known = (embed_pictures(net, some) for some in (drawn, held.pictures, seen.pictures))
    share, innocent = nearer_to_train(drawn, seen.pictures, held.pictures)
    figures = {"pictures": len(drawn), "distance": rounded(frechet(x, known)),
               "cosine with the truth": rounded(torch.cosine_similarity(x, truth).mean()),
               "memorisation ratio": rounded(memorisation_ratio(drawn, seen.pictures, held.pictures)),
               "nearer to training": rounded(share), "nearer to training by chance": rounded(innocent)}
    for name, found in (("clip", truth_ranks(x, truth)), ("pixels", truth_ranks(drawn, held.pictures))):
        figures[f"truth by {name}"] = {"first": rounded((found == 1).double().mean()),
                                       "median rank": float(found.double().quantile(0.5))}
    return figures


def floors():
    """The Fréchet distance of as many real pictures to the training set, held out and seen, and of noise."""
    _, net = clip()
    held, seen = emoji("test"), emoji("train")
    noise = torch.rand(held.pictures.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    some = torch.randperm(len(seen.captions), generator=torch.Generator().manual_seed(1))[:len(held.captions)]
    known = embed_pictures(net, seen.pictures)
    return {"held-out pictures": rounded(frechet(embed_pictures(net, held.pictures), known)),
            "training pictures": rounded(frechet(known[some], known)), "pictures": len(held.captions),
            "noise": rounded(frechet(embed_pictures(net, noise), known))}


def drawn():
    """Pictures of the held-out captions by the recipes that are there, by guidance, and by CLIP guidance."""
    config, net = clip()
    held, seen = emoji("test"), emoji("train")
    n, figures = len(held.captions), {}
    text = embed_captions(config, net, styled(held))
    if (file := CHECKPOINTS / "emoji-text.safetensors").is_file():
        recipe, made = load(file)
        how = recipe.draw(recipe.config)
        asked = {"caption": list(held.captions), "style": list(held.styles), "steps": STEPS, "batch": n}
        for name, wrap in {"emoji-text, w = 1": None, "emoji-text, w = 3": partial(cfg, w=3, null=how.null),
                           "emoji-text, CLIP, scale 30": partial(clip_guided, net=net, text=text, scale=30.0,
                                                                 path=how.path)}.items():
            figures[name] = of_drawn(sample(recipe, made, n, wrap=wrap, **asked), net, held, seen)
    if (file := CHECKPOINTS / "clip-decoder.safetensors").is_file():
        decoder = load(file)
        figures["decoder, true vectors"] = of_drawn(sample(*decoder, n), net, held, seen)
        figures["decoder, the text's vectors"] = of_drawn(sample(*decoder, n, picture=text), net, held, seen)
        made, _ = unclip(load(CHECKPOINTS / "clip-prior.safetensors"), decoder, n, text=text)
        figures["decoder, vectors of the prior"] = of_drawn(made, net, held, seen)
    return figures


def guidance():
    """What part of held-out scenes of shapes-text the judge finds as asked, by kind of guidance."""
    config, net = clip()
    if not (file := CHECKPOINTS / "shapes-text.safetensors").is_file():
        return {}
    recipe, made = load(file)
    how, n = recipe.draw(recipe.config), 32
    captions = list(shapes(n, 7, "test").captions)
    text = embed_captions(config, net, captions)
    wraps = {"w = 1": None, "classifier-free, w = 3": partial(cfg, w=3, null=how.null)} | {
        f"CLIP, scale {scale}": partial(clip_guided, net=net, text=text, scale=scale, path=how.path)
        for scale in (10, 100)}
    figures = {"scenes": n, "steps": STEPS}
    for name, wrap in wraps.items():
        pictures = sample(recipe, made, n, steps=STEPS, batch=n, caption=captions, wrap=wrap)
        figures[name] = recipe.measure(recipe.config, pictures, how.cond(n, caption=captions)) | {
            "cosine": rounded(torch.cosine_similarity(embed_pictures(net, pictures), text).mean())}
    return figures


def clip_guided(denoiser, net, text, scale, path):
    """The denoiser with CLIP guidance towards texts (n, dim), which stand for all n pictures of one batch."""
    return reconstruction_guided(denoiser, caption_log_likelihood(net.encode_pictures, text, scale), path)


PARTS = {"guidance": guidance, "retrieval": retrieval, "classes": classes, "words": words,
         "prior": prior, "floors": floors, "drawn": drawn}


def make(name, minutes):
    """Train a recipe for some minutes and keep its net and its record among the checkpoints."""
    with tempfile.TemporaryDirectory() as folder:
        train(build(find(name), "cpu", data="emoji"), Path(folder) / "run", minutes=minutes)
        for kind in ("safetensors", "json"):
            shutil.copy(Path(folder) / "run" / f"model.{kind}", CHECKPOINTS / f"{name}.{kind}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "measure"])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--minutes", type=float, default=4.0)
    args = parser.parse_args()
    if args.what == "train":
        for name in args.names:
            make(name, args.minutes)
        return
    record = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
    for name in args.names or PARTS:
        if not (figures := PARTS[name]()):
            print(name, "needs a net that is not there")
            continue
        record[name] = figures
        write(RECORD, record | {"hardware": hardware(), "torch": torch.__version__})
        print(name, json.dumps(record[name]), flush=True)


if __name__ == "__main__":
    main()
