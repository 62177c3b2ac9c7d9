"""Writes man/*.1 and egan/commands/completion/*: prose from here, options from the commands themselves. Run: python man/build.py

`tests/test_docs.py` fails where a committed page is not what this makes, so pages and --help cannot part.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import typer

from egan import __version__
from egan.commands.app import build

ROOT = Path(__file__).resolve().parent.parent
SHELLS = {"bash": "egan.bash", "zsh": "_egan", "fish": "egan.fish"}

MANY = (
    "With -d many files are read: names, patterns in quotes, folders (to the bottom, their shape kept), or with --files0-from "
    "names that end in a NUL byte. A bad one is named at the end and does not stop the rest. Under torchrun(1) each process "
    "takes its share."
)

# Per command: paragraphs of DESCRIPTION, then EXAMPLES as (what, command line).
PROSE: dict[str, tuple[list[str], list[tuple[str, str]]]] = {
    "": (
        [
            (
                "egan hides a picture inside a picture of another kind. A message is pasted on a face (the cover); a network "
                "turns the composite into a flower (the disguise); only the holder of the private key turns the flower back. "
                "It implements EncryptGAN (arXiv 1905.11582) with a stream cipher, the phase lock, in the middle of each network."
            ),
            (
                "Commands read a file, or standard input when none is named or the name is -, and write a PNG to standard "
                "output, or with -o to a file. Anything that Pillow reads comes in. Pictures are never written to a terminal "
                "unless -o - insists. On failure nothing is written."
            ),
        ],
        [
            ("The whole trip on built-in pictures", "egan demo"),
            ("Make keys", "egan keygen face.png flower.png"),
            (
                "Hide",
                "egan compose cover.png msg.png --at 40,80 | egan encrypt --pub pub.png > flower.png",
            ),
            ("Find", "egan decrypt --priv priv.png flower.png > recovered.png"),
        ],
    ),
    "keygen": (
        [
            (
                "Makes the key images K(FACE) and K(FLOWER). The private key is K(FACE) with every sample moved at random by up "
                "to one level; all secrets are derived from its pixels, so one changed level is another key. The public key is "
                "K(FLOWER), which gives disguises their shape, with three public keys (X25519, ML-KEM-768, Ed25519) in lowest bits."
            ),
            (
                "The private key has mode 0600 and is never overwritten, not even with --force. Whoever has it reads every "
                "picture that was ever encrypted to the public key, and signs in your name. Compare fingerprints over another "
                "channel: they cover the keys and the look of the picture."
            ),
            (
                "With --passphrase the private key is sealed under a passphrase, and is a picture of noise to whoever lacks it. "
                "Every command that needs the key asks for it once. There is no way round a passphrase that was forgotten. "
                "egan-passphrase(1) sets, changes and removes it."
            ),
            (
                "With -d every picture of the folder FACE gets a pair, NAME-pub.png and NAME-priv.png, with one FLOWER for all, or "
                "where that is a folder, the one of the same name."
            ),
        ],
        [
            ("A pair in this folder", "egan keygen face.png flower.png"),
            (
                "Under other names",
                "egan keygen me.jpg rose.jpg --pub rose-pub.png --priv me-priv.png",
            ),
            ("With a passphrase", "egan keygen --passphrase face.png flower.png"),
        ],
    ),
    "compose": (
        [
            (
                "Pastes MESSAGE on COVER and writes the composite. The message's box is noted in the PNG, for egan-encrypt(1) to "
                "seal. Without --at or --random the message goes to the middle. A message that does not fit is an error. The "
                "cover is cropped around its centre and resized to 256x256 unless --cover-size says otherwise; sides must be "
                "64 pixels or more."
            ),
            (
                "With -d the message is pasted on many covers, or where MESSAGE is a folder, the message of the cover's name."
            ),
        ],
        [
            (
                "8 pixels from the right and bottom edge",
                "egan compose face.jpg note.png --at -8,-8 -o composite.png",
            ),
            (
                "Two messages",
                "egan compose face.jpg one.png --at 8,8 | egan compose - two.png --at -8,-8 > composite.png",
            ),
        ],
    ),
    "encrypt": (
        [
            (
                "Turns composites into disguises: plain PNGs without metadata. A fresh keystream seed and the message's box are "
                "sealed to the public key with HPKE (RFC 9180) over X25519 and ML-KEM-768, so that a quantum computer does not "
                "open them later either, and lie in lowest bits all over the picture; the seal is bound to every pixel. The "
                "disguise hides what the message is, not that there is one. See egan-security(7)."
            ),
            (
                "A picture of any size from 64 pixels a side up is taken as it is and comes back in that size. Where "
                "egan-compose(1) pasted nothing, the whole picture is the message. --size resizes first."
            ),
            (
                "With several --pub each of their owners opens the disguise, and none learns who the others are. It shows the "
                "first one's flower. Each needs room: a picture of 64x64 pixels has it for one receiver, 128x128 for four, "
                "256x256 for twenty. --expect refuses a public key that has another fingerprint."
            ),
            (
                "--note and --note-file add a text or a small file, which arrives exactly: up to 11 bytes at 64x64 pixels, "
                "4 KB at 128x128, 23 KB at 256x256, less for every further receiver. Short notes do not change the length "
                "of what is sealed."
            ),
            (
                "With --sign the receiver, and nobody else, can tell whose key made it, and when, by your clock: an Ed25519 "
                "signature over sender, receivers, pixels and content lies inside of the seal. --comment adds words that are "
                "signed too. A disguise that is not signed says nothing of who made it: anyone can have."
            ),
            (
                "--robust adds a capsule to the brightness of the disguise: boxes, small copies of the messages and of the "
                "cover, the note and the signature, sealed on their own. JPEG of quality 60, resizing to three quarters and noise "
                "leave it readable; cropping does not. egan says how good the copies are, in dB. --jpeg-only leaves room for "
                "better ones where nothing but JPEG of quality 75 or more is on the way. Both sides of the picture must be 128 "
                "pixels or more, and there is one receiver. Below about 512x512 pixels there is room for X25519 alone: "
                "whoever keeps such a picture and owns a quantum computer later opens its capsule. Anyone can tell that there "
                "is a capsule. A picture without --robust must reach its receiver as it is."
            ),
            (
                "--flower names a picture for the disguise to look like in place of the public key's flower, so that one key can have "
                "many. The receiver needs nothing of it. A public key that other weights drew may need it: egan says so."
            ),
            (
                "Weights of a method without keys (see egan-train(1), --method) take no --pub. munit, drit and baluja need --flower, "
                "the picture that gives the disguise its look; cyclegan makes its own. Whoever has such weights can read the message."
            ),
            MANY,
        ],
        [
            ("One", "egan encrypt --pub pub.png composite.png -o flower.png"),
            (
                "Tell the receiver who sent it",
                "egan encrypt --pub pub.png --sign priv.png composite.png -o flower.png",
            ),
            (
                "A disguise that looks like this rose",
                "egan encrypt --pub pub.png --flower rose.jpg composite.png -o flower.png",
            ),
            (
                "For a messenger that re-encodes pictures",
                "egan encrypt --pub pub.png --robust composite.png -o flower.png",
            ),
            (
                "To two people, with a note",
                "egan encrypt --pub ann.png --pub ben.png --note 'until Friday' photo.jpg -o flower.png",
            ),
            (
                "To a key whose fingerprint you were told",
                "egan encrypt --pub ann.png --expect '3272 2bb1 3c1c 94e2 8688 3791 271d 94b3' photo.jpg -o flower.png",
            ),
            ("Many", "egan encrypt --pub pub.png composites/*.png -d disguises"),
            (
                "A method without keys",
                "egan encrypt --weights munit.safetensors --flower rose.png composite.png -o flower.png",
            ),
            (
                "Very many",
                "find composites -name '*.png' -print0 | egan encrypt --pub pub.png --files0-from - -d disguises",
            ),
            (
                "On four GPUs",
                "torchrun --nproc-per-node 4 -m egan encrypt --pub pub.png composites -d disguises",
            ),
        ],
    ),
    "decrypt": (
        [
            (
                "Turns disguises back into composites. A wrong private key, and a picture of which any sample was changed, is "
                "refused with status 1. --damaged decodes it all the same, exits with 3, and says, even with --quiet, that nobody "
                "vouches for it: anyone who has your public key can have made it."
            ),
            (
                "With --from only what the holder of that key signed, for this receiver, is decoded; with several, what one of "
                "them signed. The signer's fingerprint, date and comment are printed where there are some; else that anyone may "
                "have sent it. A letter that comes twice has the same date twice."
            ),
            (
                "A disguise of egan encrypt --robust opens although it was re-encoded, resized, or cut out of a screenshot with its plain "
                "border: boxes, messages, note and sender then come from its capsule, exactly as they were sealed, and the pictures "
                "are smaller copies. egan says so, and --json names the source: network or capsule. The size that was sent is found "
                "by itself. A cropped or turned picture does not open."
            ),
            (
                "--note writes the note that came with the picture to standard output, exactly; on a terminal its control "
                "characters are shown as codes."
            ),
            (
                "Weights of a method without keys take no --priv. The look of the cover does not travel in a disguise of munit or "
                "drit: --cover names a picture to take it from, and without one it is guessed."
            ),
            MANY,
        ],
        [
            (
                "The whole picture",
                "egan decrypt --priv priv.png flower.png > recovered.png",
            ),
            (
                "The message alone",
                "egan decrypt --priv priv.png --message flower.png > found.png",
            ),
            (
                "From a known sender",
                "egan decrypt --priv priv.png --from alice.png flower.png > recovered.png",
            ),
            ("Many", "egan decrypt --priv priv.png flowers -d recovered"),
        ],
    ),
    "sign": (
        [
            (
                "Turns a secret image, a picture of the disguise's kind that signer and verifier both have, into a picture of the "
                "cover's kind, through G and the private key image, as in the paper. An Ed25519 signature over every pixel, the "
                "signer's keys, the weights and a commitment to the secret lies in the lowest bits of the first pixels."
            ),
            (
                "A signed picture hides nothing: with the public key anyone can check it and decode the secret image. Sides must "
                "be multiples of 16 from 64 up; --size cuts and resizes."
            ),
            MANY,
        ],
        [
            ("One", "egan sign secret.png --priv priv.png > signed.png"),
            (
                "A photograph",
                "egan sign rose.jpg --size 256 --priv priv.png -o signed.png",
            ),
        ],
    ),
    "verify": (
        [
            (
                "Exits with 0 only if the signature is valid, made with the private half of the key of --pub, and, with --secret, "
                "the decoded image matches your copy of the secret: its score, the root mean squared error on RGB in [0, 1], "
                "is at most the threshold that egan-calibrate(1) put into the weights. With --exact the signer must have signed "
                "your copy to the last bit. Prints the fingerprint, the score and the threshold."
            ),
            (
                "Without --secret the signature alone is checked, and the decoded image is written to standard output, to -o or "
                "to -d. Several files are checked without a folder, a line for each. The signature says who made the picture, "
                "not when: one that is shown again is as valid as the first time."
            ),
            (
                "Weights of the family paper make no signatures: there --secret is all that is checked, so it has to be given, and "
                "anyone can forge it."
            ),
            MANY,
        ],
        [
            (
                "With the secret",
                "egan verify signed.png --pub pub.png --secret secret.png",
            ),
            (
                "See what was signed",
                "egan verify signed.png --pub pub.png > decoded.png",
            ),
            (
                "In a script",
                "egan verify signed.png --pub pub.png --secret secret.png --status && echo yes",
            ),
            (
                "Many, each with its own secret",
                "egan verify signed/*.png --pub pub.png --secret secrets --json",
            ),
        ],
    ),
    "calibrate": (
        [
            (
                "Signs held-out pictures with several keys, compares what they decode to with their own secret and with every "
                "other, chooses the threshold of egan-verify(1) on one half of them, and prints the rates of false accepts and "
                "rejects on the other half. Then it tries to forge: with another key, by gradient search from the public key, "
                "by replay and by splicing, and says what passes the match of images and what passes the signature too."
            ),
            (
                "With -o a copy of the weights with the threshold in its metadata is written. Its id is another, so calibrate "
                "before keys are made and pictures sent."
            ),
        ],
        [
            (
                "Weights of your own",
                "egan calibrate --x faces/test --y flowers/test --weights my.safetensors -o my-signing.safetensors",
            ),
        ],
    ),
    "passphrase": (
        [
            (
                "Writes the private key PRIV into a new file, under a passphrase that is asked for, or with --remove without one. "
                "It is the same key: what was encrypted for it opens with either file. PRIV stays as it is; delete it when "
                "you no longer want it, and remember that copies and backups of an unprotected key stay unprotected."
            ),
            (
                "The file is a picture of noise: the key's samples under ChaCha20-Poly1305, with a key from scrypt (RFC 7914), "
                "which takes 128 MiB of memory and about half a second for every try."
            ),
        ],
        [
            ("Set one, or another one", "egan passphrase priv.png -o locked-priv.png"),
            (
                "Remove it",
                "egan passphrase locked-priv.png --remove -o open-priv.png",
            ),
            (
                "In a script, the old and the new one from a file",
                "egan passphrase priv.png -o new-priv.png --passphrase-fd 3 3< passphrases.txt",
            ),
        ],
    ),
    "inspect": (
        [
            (
                "Says whether a FILE is a key, a disguise, a signed picture, a composite, another picture, weights or a training "
                "checkpoint, and what is known of it: size, fingerprint, ids of the weights and of K, boxes, architecture. A damaged one is an "
                "error, and so is a signed picture that was altered. With --json every file is one line."
            ),
        ],
        [
            ("A key's fingerprint", "egan inspect pub.png"),
            ("For a script", "egan inspect --json flower.png"),
        ],
    ),
    "demo": (
        [
            (
                "Runs keygen, compose, encrypt, decrypt, sign and verify on built-in pictures, or on yours, and leaves every file and a contact "
                "sheet in a folder. --force replaces an earlier demo, and nothing that is not of a demo."
            ),
        ],
        [
            ("On built-in pictures", "egan demo"),
            ("On yours", "egan demo --cover me.jpg --flower rose.jpg -d mine"),
        ],
    ),
    "train": (
        [
            (
                "Trains K, then F and G, and writes a weights file. SOURCE is a folder, read recursively, or celeba, flowers102, "
                "oxford-iiit-pet or svhn, which torchvision downloads. Every picture is cut to its centre square and resized (Lanczos); "
                "those that cannot be read are skipped and counted. Decoded pictures are kept in --cache for the next run."
            ),
            (
                "--preset egan is the default family with the phase lock, tiny the same at 64x64 for a first try, paper EncryptGAN as "
                "published, without a lock. --set changes any option of the model or of the training; an unknown name lists them "
                "all. All of them are kept in the weights file."
            ),
            (
                "--method cyclegan, munit, drit or baluja trains one of the methods that the paper compares with instead, from the "
                "same pictures. --preset published is what its own paper says, tiny a 64x64 copy of about a quarter of the width for a "
                "first try. None of them has keys: whoever has the weights reads every disguise."
            ),
            (
                "--from starts with the networks of a weights file instead of new ones; with --new-keys as well, K is trained anew and F "
                "and G learn to paint from its key images. Settings of K and of key images (key_levels, key_width, public_layers, "
                "private_layers) need --new-keys there."
            ),
            (
                "Checkpoints, a log of JSON lines, sample sheets and, where TensorBoard is installed, its event files go to --runs, which one "
                "run has to itself; the checkpoint of another run that is there already is kept unless --force is given. "
                "The first checkpoint is there once K has learned. Ctrl-C and SIGTERM save one and "
                "print the command that goes on exactly: --resume FILE is enough, because a checkpoint keeps the pictures' folders, "
                "the output and all options of its run; options that are given with it and change the run are named. A run that diverges "
                "stops and keeps its last good state."
            ),
            (
                "torchrun --nproc-per-node N -m egan train ... trains in N processes, one a GPU, that share each batch. Gradients are "
                "averaged by DistributedDataParallel; the first process writes the files."
            ),
        ],
        [
            (
                "A first try on a laptop",
                "egan train --preset tiny --x faces --y flowers --messages digits --out tiny.safetensors",
            ),
            (
                "Data sets that are downloaded",
                "egan train --x celeba --y flowers102 --messages svhn --messages oxford-iiit-pet --out my.safetensors",
            ),
            (
                "Four hours on eight GPUs",
                "torchrun --nproc-per-node 8 -m egan train --x celeba --y flowers102 --messages svhn --batch 256 --minutes 240 --out my.safetensors",
            ),
        ],
    ),
    "bench": (
        [
            (
                "Encrypts and decrypts covers, flowers and messages in one seeded protocol, measures every picture, and prints "
                "means with bootstrap confidence intervals beside the paper's own row. Without folders it uses a small "
                "built-in set, which is a smoke test and says nothing of quality on photographs. A figure whose backbone "
                "cannot be had is empty, with the reason."
            ),
            (
                "--methods all puts every method that there are weights for into one table, each on the same pairs, beside the "
                "paper's own rows. --weights then names folders to look in, or files. Methods without keys have no security figures."
            ),
            (
                "--attacks tries nine attacks, each beside the right key, the blind floor and a control in which a leak is "
                "planted; if one does not find its planted leak the exit status is 1; --attack N tries one of them. --payloads, --figures, --speed and "
                "--ablation measure other things; with one of them the table is left out unless --metrics or --report asks for it."
            ),
            (
                "--compare DIR trains every method of the paper, egan's own included, on the same pictures, at one size, with "
                "about half of the published widths and the same processor time, and measures all of them on pairs that were "
                "held out. DIR keeps checkpoints, weights, curves, the table and Figure 3; the same command goes on where it "
                "was interrupted, and says how long is left."
            ),
            (
                "frechet and kid judge the looks of disguises by EfficientNet-Lite0, which no model was trained against "
                "(the extra bench). A figure is to be read beside that of real pictures, and those of photographs "
                "after JPEG; fid wants Inception weights."
            ),
        ],
        [
            ("Smoke test", "egan bench --limit 8"),
            (
                "All methods, half an hour of processor time each, from three folders of pictures",
                "egan bench --compare all --x faces --y flowers --messages pets",
            ),
            (
                "On real pictures",
                "egan bench --x faces/test --y flowers/test --messages digits/test --json",
            ),
            (
                "The paper's Table 1",
                "egan bench --methods all --weights models/ --x faces/test --y flowers/test --messages digits/test",
            ),
            (
                "Try to break it, with a minute for each attack that trains",
                "egan bench --attacks --budget 60s --x faces/test --y flowers/test --messages digits/test --limit 40",
            ),
            (
                "The paper's figures, and everything on one page",
                "egan bench --figures figures --report bench.html --limit 12",
            ),
            ("QR codes and text", "egan bench --payloads"),
            (
                "The key layers of the paper's second table",
                "egan bench --ablation key-layers --budget 300steps",
            ),
            ("Speed and cost", "egan bench --speed"),
        ],
    ),
}


def roff(text: str) -> str:
    """Text as roff: backslashes and hyphens escaped, no line that starts with a control character."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text[:1] in (".", "'") else text


def options(command: Any) -> list[str]:
    lines = []
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            head = f"\\fI{roff(parameter.metavar)}\\fR"
        else:
            head = ", ".join(f"\\fB{roff(name)}\\fR" for name in parameter.opts)
            if parameter.metavar:
                head += f" \\fI{roff(parameter.metavar)}\\fR"
        words = parameter.help or ""
        default = parameter.default
        if (
            isinstance(default, str | int)
            and not isinstance(default, bool)
            and "[default" not in words
        ):
            words += f" [default: {default}]"
        lines += [".TP", head, roff(words)]
    lines += [".TP", "\\fB\\-h\\fR, \\fB\\-\\-help\\fR", "Show help and exit."]
    return lines


def page(name: str, command: Any) -> str:
    """The man page of one command, or of egan itself for an empty name."""
    title = f"egan-{name}" if name else "egan"
    prose, examples = PROSE[name]
    summary = (command.help or "").split("\n\n")[0].replace("\n", " ").rstrip(".")
    out = [
        f'.TH {title.upper()} 1 "" "egan {__version__}" "User Commands"',
        ".SH NAME",
        f"{roff(title)} \\- {roff(summary[:1].lower() + summary[1:])}",
        ".SH SYNOPSIS",
    ]
    if name:
        arguments = [
            p.metavar for p in command.params if p.param_type_name == "argument"
        ]
        needed = [
            f"{p.opts[-1]} {p.metavar}"
            for p in command.params
            if p.required and p.opts[-1].startswith("--")
        ]
        parts = ["[OPTION]...", *needed, *arguments]
        out.append(f"\\fBegan {name}\\fR {roff(' '.join(parts))}")
    else:
        out.append("\\fBegan\\fR \\fICOMMAND\\fR [\\fIARGUMENT\\fR]...")
    out.append(".SH DESCRIPTION")
    for number, paragraph in enumerate(prose):
        out += [".PP"] * bool(number) + [roff(paragraph)]
    if not name:
        out.append(".SH COMMANDS")
        for sub, child in command.commands.items():
            out += [
                ".TP",
                f"\\fBegan\\-{sub}\\fR(1)",
                roff((child.help or "").split("\n")[0]),
            ]
    out += [".SH OPTIONS", *options(command), ".SH EXAMPLES"]
    for words, line in examples:
        out += [".TP", roff(words), f"\\fB{roff(line)}\\fR"]
    out += [
        ".SH EXIT STATUS",
        "0 done; 1 failed or not verified; 2 wrong usage; 130, 143 or 129 interrupted by SIGINT, SIGTERM or SIGHUP; 141 closed pipe.",
        ".SH ENVIRONMENT",
        ".TP",
        "\\fBEGAN_WEIGHTS\\fR",
        "A weights file to use where \\-\\-weights names none.",
        ".TP",
        "\\fBEGAN_PUB\\fR, \\fBEGAN_PRIV\\fR",
        "Keys to use where \\-\\-pub or \\-\\-priv names none.",
        ".TP",
        "\\fBNO_COLOR\\fR",
        "If set, nothing is coloured.",
        ".SH SEE ALSO",
    ]
    others = ["egan", *(f"egan-{sub}" for sub in PROSE if sub)]
    listed = [f"\\fB{roff(other)}\\fR(1)" for other in others if other != title]
    out.append(", ".join([*listed, "\\fBegan\\-security\\fR(7)"]))
    return "\n".join(out) + "\n"


def pages() -> dict[str, str]:
    """Every page by file name. A command without prose is an error."""
    root: Any = typer.main.get_command(build())
    made = {"egan.1": page("", root)}
    for name, command in root.commands.items():
        made[f"egan-{name}.1"] = page(name, command)
    return made


def completion(shell: str) -> str:
    """The completion script that typer makes for a shell."""
    done = subprocess.run(
        [sys.executable, "-m", "egan"],
        env=os.environ | {"_EGAN_COMPLETE": f"source_{shell}"},
        capture_output=True,
        text=True,
        check=True,
    )
    return re.sub(r"\n+\Z", "\n", done.stdout)


def main() -> None:
    for name, text in pages().items():
        (ROOT / "man" / name).write_text(text)
    for shell, name in SHELLS.items():
        (ROOT / "egan/commands/completion" / name).write_text(completion(shell))


if __name__ == "__main__":
    main()
